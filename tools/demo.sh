#!/usr/bin/env bash
# The demo: the tokens of a sentence, explained by the pair in demo/pair. A sentence may be given as the argument.
set -euo pipefail
cd "$(dirname "$0")/.."

nla=build/release/nla
NLA_PROGRAM=$nla tools/base_model.sh >/dev/null
text=${1:-The train to Oslo was late again, so we missed the first act of the play.}
echo "Text: $text"
echo
exec "$nla" explain --pair demo/pair --text "$text" --tokens all --log-level warn
