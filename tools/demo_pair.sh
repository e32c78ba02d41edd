#!/usr/bin/env bash
# Trains the demo pair from nothing: corpora, activations, labels, both trainings, the pair's folder and its report card.
# Every stage is skipped when its output is there, so a stopped run goes on where it was.
# NLA_PROGRAM names another nla binary than build/release/nla; DATA and RUNS move the work folders; OUT the result.
set -euo pipefail
cd "$(dirname "$0")/.."

nla=${NLA_PROGRAM:-build/release/nla}
data=${DATA:-.cache/demo}
corpora=.cache/corpora
runs=${RUNS:-runs/demo}
out=${OUT:-demo/pair}
layer=20
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

# The first 140 documents are held out; no row of theirs is trained on.
extract=(extract --model "$model" --corpus "$data/corpus.jsonl" --corpus-name demo --layer $layer --min-position 3 --seed 1)
"$nla" "${extract[@]}" --out "$data/heldout_base.parquet" --corpus-length 140 --positions-per-doc 4
"$nla" "${extract[@]}" --out "$data/base.parquet" --corpus-start 140 --positions-per-doc 8
"$nla" split --input "$data/base.parquet" --out-dir "$data" --av 0.46 --ar 0.46 --rl 0.08 --seed 1

label() { "$nla" label --model "$model" --input "$1" --out "$2"; }
label "$data/heldout_base.parquet" "$data/heldout.parquet"
label "$data/av_sft_raw.parquet" "$data/av_sft_explained.parquet"
label "$data/ar_sft_raw.parquet" "$data/ar_sft_explained.parquet"

build() { "$nla" build --model "$model" --actor-template demo/actor_template.txt --stage "$1" --input "$2" --out "$3"; }
build av_sft "$data/heldout.parquet" "$data/heldout_av.parquet"
build ar_sft "$data/heldout.parquet" "$data/heldout_ar.parquet"
build av_sft "$data/av_sft_explained.parquet" "$data/av_sft_ordered.parquet"
build ar_sft "$data/ar_sft_explained.parquet" "$data/ar_sft_ordered.parquet"
"$nla" shuffle --input "$data/av_sft_ordered.parquet" --out "$data/av_sft.parquet" --seed 1
"$nla" shuffle --input "$data/ar_sft_ordered.parquet" --out "$data/ar_sft.parquet" --seed 1
# Rows that neither side was trained on, for `nla train rl recipes/demo.yaml`.
build rl "$data/rl_raw.parquet" "$data/rl_ordered.parquet"
"$nla" shuffle --input "$data/rl_ordered.parquet" --out "$data/rl.parquet" --seed 1

# train ROLE RUN [--set …]: one run of the recipe's section, taken up again where it stopped.
train() {
  local role=$1 run=$2
  shift 2
  [[ -d $runs/$run/final ]] && return
  local resume=()
  [[ -d $runs/$run ]] && resume=(--resume)
  "$nla" train "$role" recipes/demo.yaml --set "train_$role.out=$runs/$run" "$@" "${resume[@]}"
}
train av av
train ar ar_first
# A second round of the reconstructor, warm from the first.
train ar ar --set "train_ar.init=$runs/ar_first/final" --set train_ar.lr=1.0e-3 --set train_ar.steps=560

"$nla" pair --av "$runs/av/final" --ar "$runs/ar/final" --base "$model" --dataset "$data/heldout.parquet" --out "$out" --replace
cp "$data/heldout.parquet" "$data/heldout.parquet.nla_meta.yaml" demo/
cat "$runs/ar_first/metrics.jsonl" "$runs/ar/metrics.jsonl" >demo/metrics_ar.jsonl
cp "$runs/av/metrics.jsonl" demo/metrics_av.jsonl
"$nla" report --pair "$out" --dataset demo/heldout.parquet --html demo/report.html --json >demo/report.json
"$nla" report --pair "$out" --dataset demo/heldout.parquet
