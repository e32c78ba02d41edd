// Composes the features of an explanation and keeps them within the token budget. Cutting the text is pieces.cc's,
// choosing topics topic.cc's.
#include "datagen/providers/context.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/ascii.h"
#include "datagen/providers/pieces.h"
#include "datagen/providers/topic.h"
#include "text/unicode.h"

namespace nla {
namespace {

constexpr size_t kWindowBytes = 6000;  // about a thousand words: what topics are counted in

using Names = std::array<std::pair<std::string_view, std::string_view>, 24>;
constexpr Names kMarkNames = {{
    {".", "a period"},
    {",", "a comma"},
    {":", "a colon"},
    {";", "a semicolon"},
    {"?", "a question mark"},
    {"!", "an exclamation mark"},
    {"\"", "a quotation mark"},
    {"“", "an opening quotation mark"},
    {"”", "a closing quotation mark"},
    {"'", "an apostrophe"},
    {"’", "an apostrophe"},
    {"(", "an opening parenthesis"},
    {")", "a closing parenthesis"},
    {"-", "a hyphen"},
    {"–", "a dash"},
    {"—", "a dash"},
    {"--", "a dash"},
    {"/", "a slash"},
    {"_", "an underscore"},
    {"[", "an opening bracket"},
    {"]", "a closing bracket"},
    {"<", "an opening angle bracket"},
    {">", "a closing angle bracket"},
    {"*", "an asterisk"},
}};

// How many words each part gets.
struct Plan {
  int64_t near, far, topics;
};

// Text between quotation marks. Its own become single ones, and angle brackets that could spell the tags of an
// explanation become round ones.
std::string Quote(std::string text) {
  std::replace(text.begin(), text.end(), '"', '\'');
  if (text.find("explanation") != text.npos) {
    std::replace(text.begin(), text.end(), '<', '(');
    std::replace(text.begin(), text.end(), '>', ')');
  }
  return fmt::format("\"{}\"", text);
}

// A sentence that ends in a quotation: the quotation's own full stop serves.
std::string EndSentence(std::string sentence) {
  for (std::string_view end : {".\"", "!\"", "?\""}) {
    if (sentence.ends_with(end)) return sentence;
  }
  return sentence + ".";
}

// First of the pieces before `end` that hold `words` words, with an opening mark that touches the first word.
size_t Back(const std::vector<Piece>& pieces, size_t end, int64_t words) {
  size_t begin = end, first = end;
  while (begin > 0 && words > 0) {
    if (pieces[--begin].kind != PieceKind::kWord) continue;
    first = begin;
    --words;
  }
  const bool opened = first > 0 && first < end && !pieces[first].space_before &&
                      pieces[first - 1].kind == PieceKind::kMark && pieces[first - 1].space_before;
  return opened ? first - 1 : first;
}

// Pieces [begin, end) without line breaks at either edge, quoted; "" when no word is left.
std::string QuoteRange(const std::vector<Piece>& pieces, size_t begin, size_t end) {
  while (begin < end && pieces[begin].kind == PieceKind::kBreak) ++begin;
  while (end > begin && pieces[end - 1].kind == PieceKind::kBreak) --end;
  return begin == end ? "" : Quote(Join(pieces, begin, end));
}

std::string NameOfLast(const Pieces& text) {
  const Piece& last = text.pieces.back();
  if (last.kind == PieceKind::kBreak) return last.text.size() == 1 ? "a line break" : "a paragraph break";
  if (last.kind == PieceKind::kWord) return Quote(last.text);
  const auto name =
      std::find_if(kMarkNames.begin(), kMarkNames.end(), [&](const auto& entry) { return entry.first == last.text; });
  return name == kMarkNames.end() ? Quote(last.text) : std::string(name->second);
}

std::string FirstFeature(const Pieces& text, size_t near_begin) {
  const auto& pieces = text.pieces;
  const size_t last = pieces.size() - 1;
  std::string feature;
  if (text.trailing_space) {
    feature = fmt::format("Ends with a space, after {}", NameOfLast(text));
  } else if (last > 0 && pieces[last].kind == PieceKind::kWord && pieces[last - 1].kind == PieceKind::kBreak) {
    feature =
        fmt::format("Begins a {} with {}", pieces[last - 1].text.size() == 1 ? "line" : "paragraph", NameOfLast(text));
  } else {
    feature = fmt::format("Ends with {}", NameOfLast(text));
  }
  const std::string near = QuoteRange(pieces, near_begin, last);
  return EndSentence(near.empty() ? feature : fmt::format("{}, after {}", feature, near));
}

std::vector<std::string> Features(const Pieces& text, const Plan& plan) {
  const auto& pieces = text.pieces;
  const size_t near_begin = Back(pieces, pieces.size() - 1, plan.near);
  const size_t far_begin = Back(pieces, near_begin, plan.far);
  std::vector<std::string> features = {FirstFeature(text, near_begin)};
  const std::string far = QuoteRange(pieces, far_begin, near_begin);
  if (!far.empty()) features.push_back(EndSentence(fmt::format("Before that: {}", far)));
  const auto topics = TopicWords(pieces, far_begin, plan.topics);
  if (!topics.empty()) features.push_back(fmt::format("About {}.", fmt::join(topics, ", ")));
  return features;
}

// The next smaller plan: the far words go first (they are the least certain), then topics, then near words. False when
// there is none.
bool Shrink(Plan& plan) {
  if (plan.far > 2) return --plan.far, true;
  if (plan.topics > 1) return --plan.topics, true;
  if (plan.far > 0) return --plan.far, true;
  if (plan.near > 0) return --plan.near, true;
  if (plan.topics > 0) return --plan.topics, true;
  return false;
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

double WordTokens(std::string_view word, bool after_space) {
  const auto length = static_cast<double>(word.size());
  const auto capitals = std::count_if(word.begin(), word.end(), IsAsciiUpper);
  double tokens = 1;
  if (capitals > 1) {
    tokens = 0.6 * length;
  } else if (capitals == 1) {
    tokens = length <= 3 ? 1.05 : 0.7 + 0.17 * length;
  } else {
    tokens = length <= 4 ? 1 : 0.7 + 0.08 * length + std::max(0.0, length - 12) * 0.3;
  }
  return after_space || length <= 2 ? tokens : tokens + 0.3;
}

}  // namespace

// Means per kind of run over English text, rounded up.
double EstimateTokens(std::string_view text) {
  double tokens = 0;
  for (size_t i = 0; i < text.size();) {
    const size_t begin = i;
    const auto run = [&](auto belongs) {
      while (i < text.size() && belongs(text[i])) ++i;
      return static_cast<double>(i - begin);
    };
    if (IsAsciiLetter(text[i])) {
      run(IsAsciiLetter);
      tokens += WordTokens(text.substr(begin, i - begin), begin > 0 && text[begin - 1] == ' ');
    } else if (IsDigit(text[i])) {
      // Each digit is a token, and so is the space before a number.
      tokens += run(IsDigit) + (begin > 0 && text[begin - 1] == ' ' ? 1 : 0);
    } else if (text[i] == '\n') {
      ++i;
      tokens += 1;
    } else if (text[i] == ' ') {
      ++i;
    } else if (text[i] & 0x80) {
      tokens += run([](char c) { return (c & 0x80) != 0; }) * 0.9;
    } else {
      const double length =
          run([](char c) { return !IsAsciiLetter(c) && !IsDigit(c) && c != ' ' && c != '\n' && !(c & 0x80); });
      tokens += 0.5 + 0.5 * length;
    }
  }
  return tokens;
}

std::optional<std::string> ExplainContext(std::string_view text, const ContextOptions& options) {
  const Pieces end = SplitEnd(text, kWindowBytes);
  if (end.pieces.empty()) return std::nullopt;
  const auto fits = [&](const std::string& label) {
    return options.count_tokens ? options.count_tokens(label) <= options.max_tokens
                                : EstimateTokens(label) <= static_cast<double>(options.max_tokens);
  };
  Plan plan{options.near_words, options.far_words, options.topic_words};
  do {
    const std::vector<std::string> features = Features(end, plan);
    if (features.size() < 2) return std::nullopt;
    std::string label = fmt::format("{}", fmt::join(features, "\n\n"));
    if (fits(label)) return label;
  } while (Shrink(plan));
  return std::nullopt;
}

}  // namespace nla
