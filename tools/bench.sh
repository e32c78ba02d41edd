#!/usr/bin/env bash
# The benchmarks beside their peers, on the demo's corpora and held-out rows. llama.cpp is built first.
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
llama_cpp=$(tools/llama_cpp.sh)
llama=(--llama-cpp "$llama_cpp")
for type in bf16 q8_0; do
  gguf=.cache/bench/smollm2-$type.gguf
  [[ -f $gguf ]] || "$nla" convert "$model" "$gguf" --type "$type"
  llama+=(--gguf "$gguf")
done
for quant in none q8; do
  for batch in 1 32 64; do
    "$nla" bench decode --model "$model" --batch "$batch" --quant "$quant" "${llama[@]}" "$@"
  done
  "$nla" bench prefill --model "$model" --quant "$quant" "${llama[@]}" "$@"
  "$nla" bench serve --pair demo/pair --quant "$quant" "${llama[@]}" "$@"
done
"$nla" bench load --model "$model" "$@"
"$nla" bench embeds "$@"
tokenizers=$(tools/fetch_tokenizers.sh)
"$nla" bench tokenize --model "$model" "$tokenizers"/{qwen2_5,qwen3,llama3,llama3_2,gemma3} --corpus .cache/corpora/speeches.jsonl "$@"
