#!/usr/bin/env bash
# Builds llama.cpp's llama-batched-bench, a peer of `nla bench decode` and `prefill`, from the source that the package
# llama-cpp-python ships, for this processor. Prints the program's path. Takes a quarter of an hour on two cores the first time.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.3.36
work=$PWD/.cache/llama_cpp_source
program=$work/build/bin/llama-batched-bench

if [[ ! -x $program ]]; then
  tools/setup.sh model >&2
  mkdir -p "$work"
  source=$work/llama_cpp_python-$version
  if [[ ! -d $source ]]; then
    .venv/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --no-binary llama-cpp-python \
      --dest "$work" "llama-cpp-python==$version" >&2
    tar -xzf "$source.tar.gz" -C "$work"
  fi
  cmake -S "$source/vendor/llama.cpp" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON \
    -DBUILD_SHARED_LIBS=OFF -DLLAMA_CURL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_SERVER=OFF -DGGML_CCACHE=OFF >&2
  cmake --build "$work/build" --target llama-batched-bench --parallel "${JOBS:-2}" >&2
fi
echo "$program"
