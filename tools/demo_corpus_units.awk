# Turns one raw file (stdin) into units for demo_corpus.awk: lines of SOURCE <tab> UNIT.
#   mode=sentences  running text without paragraphs: one sentence a unit
#   mode=prose      a manual: paragraphs that read as prose; headings, tables, lists of names and code are left out
#   mode=mail       an e-mail: its subject, then the paragraphs its author wrote; quotes, signatures, footers, HTML and MIME parts are
#                   left out, and a mail that is mostly those yields nothing; nor does one with coarse words in it
function squeeze(s) {
  gsub(/\302\240/, " ", s)
  gsub(/[ \t\r\f\v]+/, " ", s)
  gsub(/[\001-\010\016-\037\177]/, "", s)
  sub(/^ /, "", s)
  sub(/ $/, "", s)
  return s
}

function emit(unit) { print source "\t" unit }

function letters_share(s,    rest) {
  rest = s
  return gsub(/[A-Za-z ,.'\200-\377]/, "", rest) / length(s)
}

function is_prose(s,    w) {
  return split(s, w, / /) >= 12 && s ~ /[.?!)"'`]$/ && s ~ /^[A-Z"'(`*]/ && letters_share(s) >= 0.9 && s !~ /[=_|~-][=_|~-][=_|~-][=_|~-]/ && s !~ /[{}<>]|;;|::/
}

function unmark(s) {
  sub(/^([*+-]|[0-9]+\.|o) /, "", s)
  gsub(/\^?\[[0-9]+\]/, "", s)
  gsub(/linkgit:/, "", s)
  gsub(/\*note /, "see ", s)
  gsub(/::/, "", s)
  gsub(/[*`]/, "", s)
  gsub(/\|/, "", s)
  gsub(/\/ /, "/", s)
  gsub(/  +/, " ", s)
  sub(/^Note (that )?Note/, "Note", s)
  return s
}

# ---- sentences: a full stop after two letters or more ("U. S. Senate", "Mr. Adams" do not end one), then a capital
function sentences(s,    n, w, i, part) {
  n = split(squeeze(s), w, / /)
  part = ""
  for (i = 1; i <= n; ++i) {
    part = part == "" ? w[i] : part " " w[i]
    if (w[i] ~ /[a-z0-9)"']['")]*[.?!]['")]*$/ && w[i] !~ /^["'(]*(Mr|Mrs|Ms|Dr|Messrs|Gen|Gov|Hon|Sen|St|No|vs|etc)\.$/ && (i == n || w[i + 1] ~ /^["'(]*[A-Z0-9]/)) {
      emit(part)
      part = ""
    }
  }
  if (part != "") emit(part)
}

# ---- paragraphs, shared by manuals and mail
function end_paragraph(    s) {
  s = squeeze(paragraph)
  paragraph = ""
  if (s == "") return
  if (mode == "prose") {
    if (s ~ /^\$ /) return
    s = unmark(s)
    if (is_prose(s)) emit(s)
  } else if (split(s, unused, / /) >= 6 && letters_share(s) >= 0.85 && s !~ /[{}<>|]|[=_~*#-][=_~*#-][=_~*#-]|\\|https?:\/\/[^ ]*[^ ]{60}/) {
    units[++unit_count] = s
  }
}

mode == "sentences" {
  sentences($0)
  next
}

mode == "prose" {
  if ($0 ~ /^[ \t\r]*$/) end_paragraph()
  else if ($0 ~ /^[ \t]*([*+-]|[0-9]+\.) /) { end_paragraph(); paragraph = $0 }
  else paragraph = paragraph " " $0
  next
}

# ---- mail
!in_body && /^\r?$/ { in_body = 1; next }
!in_body {
  if (/^[Ss]ubject:/) { subject = $0; sub(/^[Ss]ubject:[ \t]*/, "", subject); last = "subject" }
  else if (/^[ \t]/) { if (last == "subject") subject = subject " " $0 }
  else last = ""
  if (tolower($0) ~ /^(content-type:.*(html|multipart)|content-transfer-encoding:.*(base64|quoted))/) unreadable = 1
  next
}
signed { next }
/^-- ?\r?$/ || /^[_=-][_=-][_=-][_=-][_=-][_=-]+/ || /^-----BEGIN PGP/ { end_paragraph(); if (/^-- |^--\r?$|^___/) signed = 1; next }
tolower($0) ~ /fuck|shit|sex|porn|cunt|penis|vagina|whore|bitch|nigg|faggot|rape[ds]? |viagra/ { unreadable = 1 }
/^[ \t]*([>|:}#]|--\])/ || /^[A-Za-z]*>/ { end_paragraph(); next }
/ (wrote|writes|said):[ \t\r]*$/ || /^(On|At) .*[0-9][0-9]:[0-9][0-9]/ || /^(From|To|Sent|Cc|Date|URL|Subject):/ { end_paragraph(); next }
/^[ \t\r]*$/ { end_paragraph(); next }
{ paragraph = paragraph " " $0 }

END {
  end_paragraph()
  if (mode != "mail" || unreadable || unit_count == 0) exit
  subject = squeeze(subject)
  if (subject ~ /[{}<>=|\200-\377]/ || subject == "") exit
  emit("Subject: " subject)
  for (i = 1; i <= unit_count; ++i) emit(units[i])
}
