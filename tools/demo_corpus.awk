# Cuts units (lines of SOURCE <tab> UNIT) into passages and prints each as one JSON line {"text": "..."}.
# A passage never crosses a source. It ends at the first unit's end past a wanted length that walks through 120..200 words, and
# before a unit that would take it past 220. A unit seen before (a footer, an option that every command has) is left out, subjects
# excepted. Passages of fewer than `least` words are dropped. joiner: space | paragraph.
BEGIN {
  FS = "\t"
  separator = joiner == "paragraph" ? "\n\n" : " "
  most = 220
  wanted = 120
}

function json(s) {
  gsub(/[\\"]/, "\\\\&", s)
  gsub(/\n/, "\\n", s)
  return "{\"text\": \"" s "\"}"
}

function flush_passage() {
  if (words >= least) {
    print json(text)
    wanted = 120 + (wanted - 120 + 37) % 81
  }
  text = ""
  words = 0
}

function add(unit, n) {
  if (words > 0 && words + n > most) flush_passage()
  text = words > 0 ? text separator unit : unit
  words += n
  if (words >= wanted) flush_passage()
}

# A unit longer than a passage is cut at sentence ends, or after `most` words where a sentence is longer still.
function add_long(unit,    n, w, i, part, count) {
  n = split(unit, w, / +/)
  part = ""
  count = 0
  for (i = 1; i <= n; ++i) {
    part = count > 0 ? part " " w[i] : w[i]
    ++count
    if ((count >= 60 && w[i] ~ /[.?!]["')]*$/) || count == most) {
      add(part, count)
      part = ""
      count = 0
    }
  }
  if (count > 0) add(part, count)
}

$1 != source {
  flush_passage()
  source = $1
}

seen[$2]++ && $2 !~ /^Subject: / { next }

{
  n = split($2, unit_words, / +/)
  if (n > most) add_long($2)
  else if (n > 0) add($2, n)
}

END { flush_passage() }
