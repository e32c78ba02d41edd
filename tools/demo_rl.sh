#!/usr/bin/env bash
# Goes on from the pair in demo/pair by reinforcement learning: rows of documents that neither side has seen, then
# `nla train rl recipes/demo.yaml`. A stopped run goes on where it was; further arguments (--set KEY=VALUE) go to the training.
# NLA_PROGRAM names another nla binary than build/release/nla; DATA and RUNS move the work folders.
set -euo pipefail
cd "$(dirname "$0")/.."

nla=${NLA_PROGRAM:-build/release/nla}
data=${DATA:-.cache/demo}
corpora=.cache/corpora
run=${RUNS:-runs/demo}/rl
layer=20
mkdir -p "$data"

model=$(NLA_PROGRAM=$nla tools/base_model.sh)
model=${model#"$PWD/"}
tools/demo_corpus.sh "$corpora"

# The prompts and passages after those that tools/demo_pair.sh takes, mixed as there.
if [[ ! -f $data/rl_sampled.jsonl ]]; then
  tools/demo_prompts.sh | tail -n +3041 >"$data/rl_prompts.jsonl"
  "$nla" generate --model "$model" --prompts "$data/rl_prompts.jsonl" --limit 400 --out "$data/rl_sampled.jsonl" \
    --max-new-tokens 200 --temperature 0.9 --top-p 0.95 --slots 48 --seed 2
fi
if [[ ! -f $data/rl_corpus.jsonl ]]; then
  { jq -c '{text}' "$data/rl_sampled.jsonl"
    jq -c '.text | gsub("\\s+";" ") | split(". ") | select(length>2) | .[1] | select(length>=40 and length<=170) | {text: (. + ".")}' \
      "$data/rl_sampled.jsonl"
    sed -n '1201,1360p' "$corpora/speeches.jsonl"
    sed -n '801,905p' "$corpora/email.jsonl"
    sed -n '1001,1130p' "$corpora/documentation.jsonl"
  } >"$data/rl_corpus.jsonl.part"
  mv "$data/rl_corpus.jsonl.part" "$data/rl_corpus.jsonl"
fi
"$nla" extract --model "$model" --corpus "$data/rl_corpus.jsonl" --corpus-name demo_rl --layer $layer --min-position 3 --seed 2 \
  --positions-per-doc 6 --out "$data/rl_base.parquet"
"$nla" build --model "$model" --actor-template demo/actor_template.txt --stage rl --input "$data/rl_base.parquet" \
  --out "$data/rl_ordered.parquet"
"$nla" shuffle --input "$data/rl_ordered.parquet" --out "$data/rl.parquet" --seed 1

resume=()
[[ -d $run ]] && resume=(--resume)
"$nla" train rl recipes/demo.yaml --set "train_rl.out=$run" --set "train_rl.dataset=$data/rl.parquet" "${resume[@]}" "$@"
