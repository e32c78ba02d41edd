#!/usr/bin/env bash
# Formats every C++ file of the repository; with --check, only says which ones are not formatted.
set -euo pipefail
cd "$(dirname "$0")/.."

options=(-i)
if [[ "${1:-}" == --check ]]; then options=(--dry-run -Werror); fi
git ls-files -z --cached --others --exclude-standard '*.cc' '*.h' | xargs -0 --no-run-if-empty clang-format "${options[@]}"
