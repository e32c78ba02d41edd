# The project's doors. Each target sets up what it needs; nothing else has to be run first.
SHELL := /bin/bash
JOBS ?= 2
NLA := build/release/nla
# Relative paths in the compiler cache: another clone of the same sources finds them.
export CCACHE_BASEDIR := $(CURDIR)

.PHONY: help setup setup-demo build test check check-nccl demo demo-pair bench format clean
.NOTPARALLEL:

help:
	@echo 'make demo       explain the activations of a sentence with the pair in demo/pair'
	@echo 'make test       build and run every test'
	@echo 'make build      build/release/nla alone'
	@echo 'make demo-pair  train the pair of demo/pair again from nothing (hours)'
	@echo 'make bench      time extraction and training beside a Python peer'
	@echo 'make check      format, layering and clang-tidy on what changed'
	@echo 'make check-nccl compile and link what training on several GPUs needs, and try it (fetches 220 MB)'
	@echo 'make format     format the C++ files'
	@echo 'make setup      install what is missing (packages, .venv); the targets above do it themselves'
	@echo 'make clean      remove build/ and .cache/ (not .venv)'

setup:
	@tools/setup.sh product model oracles

setup-demo:
	@tools/setup.sh --no-tools product model

build: setup-demo
	@cmake --preset release >/dev/null
	@cmake --build --preset release --target nla --parallel $(JOBS)

test: setup
	@cmake --preset release >/dev/null
	@cmake --build --preset release --parallel $(JOBS)
	@ctest --test-dir build/release --output-on-failure

check: setup
	@cmake --preset release >/dev/null
	tools/format.sh --check
	tools/check_includes
	tools/tidy.sh

check-nccl: setup
	@tools/check_nccl.sh

demo: build
	@tools/demo.sh

demo-pair: build
	@tools/demo_pair.sh

bench: setup
	@cmake --preset release >/dev/null
	@cmake --build --preset release --target nla --parallel $(JOBS)
	@tools/bench.sh

format:
	@tools/format.sh

clean:
	rm -rf build .cache
