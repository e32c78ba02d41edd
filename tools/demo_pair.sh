#!/usr/bin/env bash
# Trains the demo pair from nothing: makes its corpus, then runs the stages of recipes/demo.yaml.
# Every stage is skipped when its output is there, so a stopped run goes on where it was.
# NLA_PROGRAM names another nla binary than build/release/nla.
set -euo pipefail
cd "$(dirname "$0")/.."

nla=${NLA_PROGRAM:-build/release/nla}
data=.cache/demo
corpora=.cache/corpora
mkdir -p "$data"

model=$(NLA_PROGRAM=$nla tools/base_model.sh)
model=${model#"$PWD/"}
tools/demo_corpus.sh "$corpora"

# Text of the base model's own: about 500,000 tokens.
[[ -f $data/prompts.jsonl ]] || tools/demo_prompts.sh >"$data/prompts.jsonl"
[[ -f $data/sampled.jsonl ]] || "$nla" generate --model "$model" --prompts "$data/prompts.jsonl" --limit 3040 \
  --out "$data/sampled.jsonl" --max-new-tokens 200 --temperature 0.9 --top-p 0.95 --slots 48 --seed 1

# One corpus in one fixed order: sampled texts, single sentences of them (what a person types is short), and the
# packaged corpora.
seeded() { openssl enc -aes-256-ctr -pass pass:"$1" -nosalt -pbkdf2 </dev/zero 2>/dev/null; }
if [[ ! -f $data/corpus.jsonl ]]; then
  # head closes its input early on purpose.
  set +o pipefail
  jq -c '.text | gsub("\\s+";" ") | split(". ") | select(length>2) | .[1] | select(length>=40 and length<=170) | {text: (. + ".")}' \
    "$data/sampled.jsonl" | head -n 1500 >"$data/sentences.jsonl"
  { jq -c '{text}' "$data/sampled.jsonl"
    cat "$data/sentences.jsonl"
    head -n 1200 "$corpora/speeches.jsonl"
    head -n 800 "$corpora/email.jsonl"
    head -n 1000 "$corpora/documentation.jsonl"
  } | shuf --random-source=<(seeded 1) >"$data/corpus.jsonl.part"
  set -o pipefail
  mv "$data/corpus.jsonl.part" "$data/corpus.jsonl"
fi

# From the corpus to the pair and its report card: the recipe's stages.
"$nla" pipeline recipes/demo.yaml --set "pipeline.model=$model"
cp "$data/heldout.parquet" "$data/heldout.parquet.nla_meta.yaml" demo/
cat runs/demo/ar_first/metrics.jsonl runs/demo/ar/metrics.jsonl >demo/metrics_ar.jsonl
cp runs/demo/av/metrics.jsonl demo/metrics_av.jsonl
"$nla" report --pair demo/pair --dataset demo/heldout.parquet --json >demo/report.json
