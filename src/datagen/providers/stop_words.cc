// Function words and words of every kind of text: in any topic they would only stand in the way.
#include <algorithm>
#include <array>
#include <string_view>

#include "datagen/providers/topic.h"

namespace nla {
namespace {

// Sorted. Words of one or two letters are never topics and are left out.
constexpr auto kStopWords = std::to_array<std::string_view>({
    "able",       "about",        "above",        "according",  "across",      "actually",   "add",        "added",
    "additional", "after",        "afterwards",   "again",      "against",     "ago",        "ain",        "all",
    "allow",      "allowed",      "allows",       "almost",     "alone",       "along",      "already",    "also",
    "although",   "always",       "among",        "amongst",    "and",         "another",    "any",        "anybody",
    "anyhow",     "anyone",       "anything",     "anyway",     "anywhere",    "apart",      "appear",     "appears",
    "apply",      "apr",          "are",          "aren",       "around",      "aside",      "ask",        "asked",
    "asks",       "aug",          "available",    "away",       "back",        "based",      "became",     "because",
    "become",     "becomes",      "been",         "before",     "began",       "begin",      "behind",     "being",
    "believe",    "below",        "beside",       "besides",    "best",        "better",     "between",    "beyond",
    "big",        "bit",          "both",         "bring",      "brought",     "but",        "call",       "called",
    "came",       "can",          "cannot",       "case",       "cases",       "cause",      "certain",    "certainly",
    "change",     "close",        "com",          "come",       "comes",       "common",     "considered", "contain",
    "contains",   "could",        "couldn",       "course",     "currently",   "date",       "day",        "days",
    "deal",       "dear",         "dec",          "default",    "did",         "didn",       "different",  "directly",
    "does",       "doesn",        "doing",        "don",        "done",        "doubt",      "down",       "due",
    "during",     "each",         "early",        "easily",     "easy",        "effect",     "either",     "else",
    "email",      "end",          "enough",       "entire",     "equal",       "especially", "etc",        "even",
    "ever",       "every",        "everybody",    "everyone",   "everything",  "everywhere", "exactly",    "example",
    "except",     "exist",        "existing",     "face",       "fact",        "far",        "feb",        "feel",
    "felt",       "few",          "find",         "first",      "five",        "follow",     "followed",   "following",
    "follows",    "for",          "form",         "former",     "forth",       "found",      "four",       "fri",
    "friday",     "from",         "full",         "further",    "gave",        "general",    "generally",  "get",
    "gets",       "getting",      "give",         "given",      "gives",       "giving",     "goes",       "going",
    "good",       "got",          "great",        "greater",    "greatest",    "had",        "hadn",       "half",
    "hand",       "happen",       "hard",         "hardly",     "has",         "hasn",       "have",       "haven",
    "having",     "held",         "hello",        "help",       "hence",       "her",        "here",       "hereby",
    "herself",    "high",         "him",          "himself",    "his",         "hold",       "how",        "however",
    "html",       "http",         "https",        "hundred",    "immediately", "important",  "include",    "included",
    "including",  "indeed",       "instead",      "into",       "isn",         "item",       "its",        "itself",
    "jan",        "jul",          "jun",          "just",       "keep",        "kept",       "kind",       "knew",
    "know",       "known",        "large",        "larger",     "largest",     "last",       "late",       "later",
    "latter",     "lay",          "lead",         "least",      "led",         "left",       "less",       "let",
    "level",      "like",         "likely",       "line",       "list",        "little",     "long",       "longer",
    "look",       "looked",       "looking",      "lot",        "low",         "made",       "mail",       "mailing",
    "main",       "mainly",       "make",         "makes",      "making",      "manner",     "many",       "mar",
    "matter",     "may",          "maybe",        "mean",       "means",       "meet",       "merely",     "message",
    "might",      "million",      "mind",         "mine",       "mon",         "monday",     "more",       "moreover",
    "most",       "mostly",       "mrs",          "much",       "must",        "myself",     "name",       "namely",
    "nbsp",       "near",         "nearly",       "necessary",  "need",        "needed",     "needs",      "neither",
    "net",        "never",        "nevertheless", "new",        "next",        "nine",       "nobody",     "none",
    "nor",        "not",          "note",         "nothing",    "nov",         "now",        "nowhere",    "number",
    "oct",        "off",          "often",        "old",        "once",        "one",        "ones",       "only",
    "onto",       "open",         "order",        "org",        "original",    "other",      "others",     "otherwise",
    "ought",      "our",          "ours",         "ourselves",  "out",         "over",       "own",        "part",
    "particular", "particularly", "parts",        "past",       "per",         "perhaps",    "person",     "place",
    "placed",     "places",       "please",       "point",      "possible",    "posted",     "present",    "previous",
    "probably",   "provide",      "provided",     "put",        "quite",       "rather",     "read",       "ready",
    "real",       "really",       "reason",       "receive",    "received",    "recent",     "recently",   "regard",
    "regarding",  "regards",      "remain",       "reply",      "require",     "required",   "respect",    "result",
    "right",      "run",          "said",         "same",       "sat",         "saturday",   "saw",        "say",
    "saying",     "says",         "second",       "see",        "seem",        "seemed",     "seems",      "seen",
    "send",       "sent",         "sep",          "sept",       "set",         "seven",      "several",    "shall",
    "she",        "short",        "should",       "shouldn",    "show",        "shown",      "shows",      "side",
    "similar",    "simple",       "simply",       "since",      "single",      "six",        "small",      "some",
    "somebody",   "someone",      "something",    "sometimes",  "somewhat",    "somewhere",  "soon",       "special",
    "specific",   "specified",    "start",        "started",    "step",        "still",      "stop",       "subject",
    "such",       "sun",          "sunday",       "sure",       "take",        "taken",      "takes",      "taking",
    "talk",       "tell",         "ten",          "than",       "thank",       "thanks",     "that",       "the",
    "their",      "theirs",       "them",         "themselves", "then",        "there",      "thereby",    "therefore",
    "thereof",    "these",        "they",         "thing",      "things",      "think",      "third",      "this",
    "those",      "though",       "thought",      "thousand",   "three",       "through",    "throughout", "thu",
    "thursday",   "thus",         "time",         "times",      "today",       "together",   "told",       "too",
    "took",       "toward",       "towards",      "true",       "try",         "trying",     "tue",        "tuesday",
    "turn",       "two",          "type",         "under",      "unless",      "unlike",     "until",      "upon",
    "use",        "used",         "useful",       "uses",       "using",       "usually",    "various",    "very",
    "via",        "view",         "want",         "wanted",     "was",         "wasn",       "way",        "ways",
    "wed",        "wednesday",    "week",         "well",       "went",        "were",       "weren",      "what",
    "whatever",   "when",         "whenever",     "where",      "whereas",     "whereby",    "wherein",    "wherever",
    "whether",    "which",        "while",        "who",        "whoever",     "whole",      "whom",       "whose",
    "why",        "wide",         "will",         "wish",       "with",        "within",     "without",    "won",
    "word",       "words",        "work",         "works",      "would",       "wouldn",     "write",      "written",
    "wrong",      "wrote",        "www",          "year",       "years",       "yes",        "yet",        "you",
    "your",       "yours",        "yourself",     "yourselves",
});
static_assert(std::is_sorted(kStopWords.begin(), kStopWords.end()));

}  // namespace

bool IsStopWord(std::string_view word) { return std::binary_search(kStopWords.begin(), kStopWords.end(), word); }

}  // namespace nla
