#!/usr/bin/env bash
# Compiles libnla_nccl.so with all warnings, links it with nothing left undefined, and tries it:
# 1. on two processes over a stand-in for NCCL that works without a GPU, with and without faults;
# 2. where there is a GPU, over NCCL itself, on one and on all that the machine has; where there is none, the library must
#    say so instead of crashing.
# Needs no CUDA build of torch. The wheels of requirements/nccl.txt (220 MB) are fetched once, into .cache/nccl; the build
# is build/nccl.
set -euo pipefail
cd "$(dirname "$0")/.."

wheels=$PWD/.cache/nccl
build=build/nccl
log=$build/check.log
scratch=
trap '[[ -z $scratch ]] || rm -rf "$scratch"' EXIT

fail() {
  [[ -f $log ]] && cat "$log" >&2
  echo "check-nccl: $*" >&2
  exit 1
}

fetch() {
  local wanted
  wanted=$(sha256sum <requirements/nccl.txt)
  [[ -f $wheels/.requirements-hash && "$(cat "$wheels/.requirements-hash")" == "$wanted" ]] && return
  echo "check-nccl: fetching requirements/nccl.txt" >&2
  mkdir -p .cache
  scratch=$(mktemp -d .cache/nccl-XXXXXX)
  .venv/bin/python -m pip install -qq --disable-pip-version-check --no-cache-dir --no-deps --only-binary=:all: \
    --target "$scratch/wheels" -r requirements/nccl.txt >&2 || fail "the wheels could not be fetched. Is there a network?"
  echo "$wanted" >"$scratch/wheels/.requirements-hash"
  rm -rf "$wheels"
  mv "$scratch/wheels" "$wheels"
}

# Runs nccl_check on so many processes, 0 for no mpirun. Wants that exit code and, where a third argument is given, a line
# of output that holds it; further arguments are nccl_check's.
expect() {
  local ranks=$1 wanted=$2 text=${3:-} launch=() code=0
  [[ $ranks -gt 0 ]] && launch=(mpirun --allow-run-as-root --oversubscribe -n "$ranks")
  timeout 120 "${launch[@]}" env ${preload:+LD_PRELOAD="$preload"} $build/nccl_check "${@:4}" >"$log" 2>&1 || code=$?
  [[ $code == "$wanted" ]] || fail "$ranks processes ${*:4}: exit code $code, wanted $wanted"
  [[ -z $text ]] || grep -qF -- "$text" "$log" || fail "$ranks processes ${*:4}: nothing says: $text"
}

fetch
cmake -S . -B $build -G Ninja -DCMAKE_BUILD_TYPE=Release -DNLA_NCCL_ROOT="$wheels" >/dev/null
cmake --build $build --target nccl_check --parallel "${JOBS:-2}"

preload=$PWD/$build/libfake_nccl.so
expect 0 0
expect 2 0
expect 3 2 'there are fewer CUDA devices than processes on this machine: found 2 for 3'
expect 2 2 'there is no such CUDA device: found cuda:2' cuda:2
expect 2 1 'NCCL: ncclCommInitRank failed: found invalid usage' cuda:0
FAKE_NCCL_FAULT=init expect 2 1 'NCCL: ncclCommInitRank failed: found unhandled system error'
FAKE_NCCL_FAULT=reduce expect 2 1 '(fake: no memory)'
FAKE_NCCL_FAULT=lost expect 2 1 'NCCL: a collective failed: found remote process exited'
preload=

if $build/nccl_check >"$log" 2>&1 || ! grep -q 'there is no CUDA device here' "$log"; then
  expect 0 0
  cat "$log"
  devices=$(sed -n 's/^devices \([0-9]*\)$/\1/p' "$log")
  expect "$devices" 0
  cat "$log"
  expect $((devices + 1)) 2 'fewer CUDA devices than processes'
  expect 2 1 'ncclCommInitRank failed' cuda:0
  echo "check-nccl: compiled, linked, loaded, and run on $devices GPUs"
else
  for ranks in 0 2; do
    expect $ranks 2 'nccl_check: --device: there is no CUDA device here: found '
  done
  echo "check-nccl: compiled, linked and loaded; here is no GPU to run on: $(grep -m1 '^nccl_check:' "$log")"
fi
