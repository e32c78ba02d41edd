#!/usr/bin/env bash
# clang-tidy on the C++ files that changed since NLA_TIDY_BASE (default: the parent commit; `all` checks every file),
# two at a time. Files found clean are remembered under .cache/tidy by their content: one with libtorch headers takes
# a minute.
set -euo pipefail
cd "$(dirname "$0")/.."

cache=.cache/tidy
build=$cache/configured
database=$cache/database
base=${NLA_TIDY_BASE:-HEAD^}
mkdir -p "$database"

changed_files() {
  if [[ $base == all ]] || ! git rev-parse --quiet --verify "$base^{commit}" >/dev/null; then
    git ls-files 'src/*.cc'
    return
  fi
  local file
  git diff --name-only --diff-filter=d "$base" -- src include | while read -r file; do
    case $file in
      *.cc) echo "$file" ;;
      # A header is checked through the source that implements it.
      *.h) if [[ -f ${file%.h}.cc ]]; then echo "${file%.h}.cc"; fi ;;
    esac
  done
}

tidy_one() {
  local file=$1 key
  if ! grep -q "\"file\": \".*/$file\"" "$database/compile_commands.json"; then
    echo "clang-tidy: $file is left out, since it is not built here (nccl_module.cc is after \`make check-nccl\`)" >&2
    return
  fi
  key=$(cat .clang-tidy "$file" $([[ -f ${file%.cc}.h ]] && echo "${file%.cc}.h") | sha256sum | cut -c1-32)
  if [[ -f $cache/$key ]]; then return; fi
  # libtorch's headers need GCC's omp.h, which clang does not search; without OpenMP they take their serial path.
  if clang-tidy --quiet -p "$database" --extra-arg=-fno-openmp --extra-arg=-Wno-unknown-warning-option "$file" \
    2>"$cache/$key.stderr"; then
    rm -f "$cache/$key.stderr"
    touch "$cache/$key"
  else
    cat "$cache/$key.stderr" >&2
    rm -f "$cache/$key.stderr"
    return 1
  fi
}

# Every source alone and without precompiled headers: it shows whether each includes what it uses. Two flags are GCC's.
configure() {
  local nccl=
  [[ -f .cache/nccl/.requirements-hash ]] && nccl=$PWD/.cache/nccl
  cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DNLA_UNITY=OFF -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON \
    -DNLA_NCCL_ROOT="$nccl" >/dev/null
  sed -E 's/ -fpch-preprocess//; s/ --param=ggc[^ ]*//' "$build/compile_commands.json" >"$database/compile_commands.json"
}

export -f tidy_one
export database cache
configure
changed_files | sort -u >"$cache/files"
echo "clang-tidy: $(wc -l <"$cache/files") files changed since $base" >&2
xargs --no-run-if-empty -P 2 -I {} bash -c 'set -euo pipefail; tidy_one "$1"' _ {} <"$cache/files"
