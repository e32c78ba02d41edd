#!/usr/bin/env bash
# The benchmarks beside their Python peers, on the demo's corpora and held-out rows.
set -euo pipefail
cd "$(dirname "$0")/.."

nla=build/release/nla
model=$(NLA_PROGRAM=$nla tools/base_model.sh)
tools/demo_corpus.sh .cache/corpora
mkdir -p .cache/bench
"$nla" build --model "$model" --actor-template demo/actor_template.txt --stage av_sft --input demo/heldout.parquet \
  --out .cache/bench/av_sft.parquet --log-level warn
"$nla" build --model "$model" --actor-template demo/actor_template.txt --stage rl --input demo/heldout.parquet \
  --out .cache/bench/rl.parquet --log-level warn
"$nla" bench extract --model "$model" --corpus .cache/corpora/speeches.jsonl --documents 128 "$@"
"$nla" bench train-av --model "$model" --dataset .cache/bench/av_sft.parquet "$@"
"$nla" bench rl --model "$model" --pair demo/pair --dataset .cache/bench/rl.parquet "$@"
"$nla" bench load --model "$model" "$@"
tokenizers=$(tools/fetch_tokenizers.sh)
"$nla" bench tokenize --model "$model" "$tokenizers"/{qwen2_5,qwen3,llama3,llama3_2,gemma3} --corpus .cache/corpora/speeches.jsonl "$@"
