#!/usr/bin/env bash
# Converts a checkpoint directory to GGUF and compares llama.cpp with transformers: the ids of a text and the tokens that
# greedy decoding adds. llama.cpp comes prebuilt, from the npm package node-llama-cpp, into .cache/llama_cpp. Not part of
# `make test`: it fetches 700 MB.
# Usage: tools/oracles/llama_cpp_check.sh DIRECTORY [TYPE [TEXT [COUNT]]]   (default: f32, a sentence, 16)
set -euo pipefail
cd "$(dirname "$0")/../.."

directory=$1
type=${2:-f32}
text=${3:-"The capital of France is 1984, and I'll  say größe 🙂"}
count=${4:-16}
program=${NLA_PROGRAM:-build/release/nla}
node=$PWD/.cache/llama_cpp
version=3.21.1

mkdir -p "$node"
if [[ ! -d $node/node_modules/node-llama-cpp ]]; then
  echo '{"type": "module"}' >"$node/package.json"
  npm install --prefix "$node" --ignore-scripts --no-audit --no-fund --silent "node-llama-cpp@$version" >&2
fi
cp tools/oracles/llama_cpp.mjs "$node/"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$program" convert "$directory" "$work/model.gguf" --type "$type" >&2
theirs=$(node "$node/llama_cpp.mjs" "$work/model.gguf" "$text" "$count" | tail -1)
ours=$(.venv/bin/python - "$directory" "$text" "$count" 2>/dev/null <<'EOF'
import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

directory, text, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
ids = AutoTokenizer.from_pretrained(directory)(text).input_ids
model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
out = model.generate(torch.tensor([ids]), max_new_tokens=count, do_sample=False)[0]
print(json.dumps({"ids": ids, "out": out[len(ids):].tolist()}, separators=(",", ":")))
EOF
)
echo "llama.cpp:    $theirs"
echo "transformers: $ours"
[[ $theirs == "$ours" ]] && echo "equal" || { echo "different"; exit 1; }
