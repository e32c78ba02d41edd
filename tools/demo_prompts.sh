#!/bin/sh
# Prints the prompts that the base model answers to give the demo's pair ordinary text: one {"prompt": "..."} a line.
# Each topic of demo/topics.txt meets PER_TOPIC (8) kinds of demo/genres.txt. The choice is fixed arithmetic, no random numbers: topic t
# takes the kinds (11 t + 17 r) mod G for r = 0, 1, ...; whole rounds over all topics come one after another, so the first lines already
# show every topic.
#
#   usage: tools/demo_prompts.sh [PER_TOPIC]
set -eu
demo=$(cd "$(dirname "$0")/../demo" && pwd)
LC_ALL=C awk -v rounds="${1:-8}" '
  /^#/ || /^$/ { next }
  FILENAME ~ /topics/ { topic[topics++] = $0; next }
  { genre[genres++] = $0 }
  function json(s) { gsub(/[\\"]/, "\\\\&", s); return "{\"prompt\": \"" s "\"}" }
  END {
    for (r = 0; r < rounds; ++r)
      for (t = 0; t < topics; ++t) {
        prompt = genre[(11 * t + 17 * r) % genres]
        at = index(prompt, "{topic}")
        print json(substr(prompt, 1, at - 1) topic[t] substr(prompt, at + 7))
      }
  }' "$demo/topics.txt" "$demo/genres.txt"
