#!/usr/bin/env bash
# Runs one fuzz target under the address and undefined-behaviour sanitizers: half of the executions by libFuzzer, guided
# by coverage, half by the deterministic mutator.
# Usage: tools/fuzz.sh TARGET [COUNT]   (TARGET all: one after the other; COUNT: executions of a target, 1000000)
# Needs clang++ and libFuzzer (Debian: clang, libclang-rt-14-dev). Builds into build/fuzz, without libtorch.
# What ends a run badly is left in build/fuzz/found.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${1:?usage: tools/fuzz.sh TARGET [COUNT]}
count=${2:-1000000}
compiler=$(command -v clang++ || command -v clang++-14 || true)
if [[ -z $compiler ]]; then
  echo "fuzz: clang++ is missing: sudo apt-get install --yes clang libclang-rt-14-dev" >&2
  exit 1
fi

cmake -S . -B build/fuzz -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_COMPILER="$compiler" -DNLA_FUZZ=ON >/dev/null
cmake --build build/fuzz -j2 --target fuzz_campaign fuzz_guided

targets=("$target")
[[ $target == all ]] && mapfile -t targets < <(ls tests/fuzz/corpus)
mkdir -p build/fuzz/found
# Arrow and yaml-cpp are not instrumented: what they do to a vector behind its end cannot be told from harm.
export ASAN_OPTIONS=detect_container_overflow=0:detect_leaks=1:allocator_may_return_null=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
for name in "${targets[@]}"; do
  mkdir -p "build/fuzz/corpus/$name"
  (
    cd build/fuzz/found
    ../fuzz_campaign "$name" $((count / 2)) "${SEED:-1}"
    NLA_FUZZ_TARGET=$name ../fuzz_guided "../corpus/$name" "../../../tests/fuzz/corpus/$name" \
      -runs=$((count - count / 2)) -max_len=65536 -timeout=60 -rss_limit_mb=4096 -seed="${SEED:-1}" \
      -artifact_prefix="$name-" -verbosity=0 -print_final_stats=1 -close_fd_mask=0 2>&1 | tail -7 | sed "s/^/$name: /"
  )
done
