// The two halves of Jinja's lexer: text between markup with its white-space rules, and the tokens inside of it.
#include "text/jinja/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/fail.h"
#include "text/jinja/character.h"
#include "text/jinja/string_literal.h"
#include "text/unicode.h"

namespace nla::jinja {
namespace {

constexpr std::array<std::string_view, 26> kOperators = {  // longer ones first
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
    "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Line ends as "\n", without the one that ends the source.
std::string NormalizeNewlines(std::string_view source) {
  std::string made;
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      if (i + 1 < source.size() && source[i + 1] == '\n') continue;
      made.push_back('\n');
    } else {
      made.push_back(source[i]);
    }
  }
  if (made.ends_with('\n')) made.pop_back();
  return made;
}

size_t LeadingSpace(std::string_view text) {
  size_t length = 0;
  while (length < text.size()) {
    const DecodedChar c = DecodeChar(text.substr(length));
    if (!IsSpace(c.code_point)) break;
    length += static_cast<size_t>(c.length);
  }
  return length;
}

std::string_view WithoutTrailingSpace(std::string_view text) {
  while (!text.empty()) {
    const size_t last = LastCharOffset(text);
    if (!IsSpace(DecodeChar(text.substr(last)).code_point)) break;
    text = text.substr(0, last);
  }
  return text;
}

class Lexer {
 public:
  Lexer(std::string_view source, const std::string& where) : source_(source), where_(where) {}

  std::vector<Token> Run() {
    while (at_ < source_.size()) {
      const size_t open = NextMarkup();
      if (open == source_.npos) {
        AddData(source_.substr(at_));
        Advance(source_.size());
        break;
      }
      ReadMarkup(open);
    }
    Add(TokenKind::kEnd);
    return std::move(tokens_);
  }

 private:
  std::string_view Rest() const { return source_.substr(at_); }

  void Advance(size_t to) {
    line_ += static_cast<int>(
        std::count(source_.begin() + static_cast<ptrdiff_t>(at_), source_.begin() + static_cast<ptrdiff_t>(to), '\n'));
    at_ = to;
  }

  void Add(TokenKind kind, std::string spelling = {}, Text text = {}) {
    tokens_.push_back({kind, line_, std::move(spelling), std::move(text)});
  }

  void AddData(std::string_view text) {
    if (!text.empty()) Add(TokenKind::kData, {}, Text(text, Origin::kTemplate));
  }

  size_t NextMarkup() const {
    for (size_t open = source_.find('{', at_); open != source_.npos; open = source_.find('{', open + 1)) {
      const char kind = open + 1 < source_.size() ? source_[open + 1] : 0;
      if (kind == '%' || kind == '{' || kind == '#') return open;
    }
    return source_.npos;
  }

  // The text before a tag whose sign is '-', '+' or 0: stripped, kept, or without the blanks that only indent it.
  std::string_view TextBefore(std::string_view text, char sign, bool is_variable) const {
    if (sign == '-') return WithoutTrailingSpace(text);
    if (sign == '+' || is_variable) return text;
    const size_t line_begin = text.rfind('\n') + 1;
    if (line_begin == 0 && !line_starting_) return text;
    return LeadingSpace(text.substr(line_begin)) == text.size() - line_begin ? text.substr(0, line_begin) : text;
  }

  char SignAt(size_t offset) const {
    const char c = offset < source_.size() ? source_[offset] : 0;
    return c == '-' || c == '+' ? c : 0;
  }

  // Moves behind an end delimiter at `end` of which `sign` characters come before it.
  void CloseTag(size_t end, char sign, bool trims_newline) {
    size_t behind = end + (sign != 0 ? 1 : 0) + 2;
    if (sign == '-') {
      behind += LeadingSpace(source_.substr(behind));
    } else if (sign == 0 && trims_newline && behind < source_.size() && source_[behind] == '\n') {
      ++behind;
    }
    Advance(behind);
    line_starting_ = source_[behind - 1] == '\n';
  }

  void ReadMarkup(size_t open) {
    const char kind = source_[open + 1];
    const char sign = SignAt(open + 2);
    const std::string_view text = source_.substr(at_, open - at_);
    AddData(TextBefore(text, sign, kind == '{'));
    Advance(open);
    Advance(open + (sign != 0 ? 3 : 2));
    if (kind == '#') return SkipComment();
    if (kind == '%' && ReadRaw()) return;
    Add(kind == '%' ? TokenKind::kBlockBegin : TokenKind::kVariableBegin);
    ReadCode(kind == '%');
  }

  void SkipComment() {
    const size_t end = source_.find("#}", at_);
    if (end == source_.npos) FailAtLine(where_, line_, "unfinished comment in the chat template", "", "#}");
    const char sign = end > at_ ? SignAt(end - 1) : 0;
    CloseTag(sign != 0 ? end - 1 : end, sign, /*trims_newline=*/true);
  }

  // {% raw %}: everything up to {% endraw %} is text. False, and nothing read, when the tag is another.
  bool ReadRaw() {
    size_t end = at_ + LeadingSpace(Rest());
    if (!source_.substr(end).starts_with("raw")) return false;
    end += 3;
    end += LeadingSpace(source_.substr(end));
    const char sign = SignAt(end) == '-' ? '-' : 0;
    if (!source_.substr(end + (sign != 0 ? 1 : 0)).starts_with("%}")) return false;
    const int line = line_;
    CloseTag(end, sign, /*trims_newline=*/false);
    for (size_t open = source_.find("{%", at_); open != source_.npos; open = source_.find("{%", open + 1)) {
      const char open_sign = SignAt(open + 2);
      size_t next = open + (open_sign != 0 ? 3 : 2);
      next += LeadingSpace(source_.substr(next));
      if (!source_.substr(next).starts_with("endraw")) continue;
      next += 6;
      next += LeadingSpace(source_.substr(next));
      const char close_sign = SignAt(next);
      if (!source_.substr(next + (close_sign != 0 ? 1 : 0)).starts_with("%}")) continue;
      AddData(TextBefore(source_.substr(at_, open - at_), open_sign, false));
      CloseTag(next, close_sign, /*trims_newline=*/true);
      return true;
    }
    FailAtLine(where_, line, "unfinished raw block in the chat template", "", "{% endraw %}");
  }

  // Tokens up to the end of the tag. Inside of brackets an end delimiter is none.
  void ReadCode(bool is_block) {
    const std::string_view closing = is_block ? "%}" : "}}";
    const int line = line_;
    std::string open_brackets;
    while (at_ < source_.size()) {
      if (open_brackets.empty()) {
        const char sign = Rest().starts_with('-') || (is_block && Rest().starts_with('+')) ? Rest()[0] : 0;
        if (Rest().substr(sign != 0 ? 1 : 0).starts_with(closing)) {
          Add(is_block ? TokenKind::kBlockEnd : TokenKind::kVariableEnd);
          return CloseTag(at_, sign, is_block);
        }
      }
      if (const size_t space = LeadingSpace(Rest()); space > 0) {
        Advance(at_ + space);
      } else {
        ReadToken(open_brackets);
      }
    }
    FailAtLine(where_, line, "unfinished markup in the chat template", "", std::string(closing));
  }

  void ReadToken(std::string& open_brackets) {
    const char c = source_[at_];
    if (c == '"' || c == '\'') return ReadString(c);
    if (IsDigit(c)) return ReadNumber();
    if (const size_t length = NameLength(); length > 0) {
      Add(TokenKind::kName, std::string(Rest().substr(0, length)));
      return Advance(at_ + length);
    }
    const auto found = std::find_if(kOperators.begin(), kOperators.end(),
                                    [&](std::string_view candidate) { return Rest().starts_with(candidate); });
    if (found == kOperators.end()) {
      const size_t length = static_cast<size_t>(DecodeChar(Rest()).length);
      FailAtLine(where_, line_, "unexpected character in the chat template", std::string(Rest().substr(0, length)));
    }
    CheckBrackets(*found, open_brackets);
    Add(TokenKind::kOperator, std::string(*found));
    Advance(at_ + found->size());
  }

  void CheckBrackets(std::string_view found, std::string& open_brackets) const {
    constexpr std::string_view kOpening = "([{";
    constexpr std::string_view kClosing = ")]}";
    if (kOpening.find(found) != kOpening.npos) open_brackets += found;
    const size_t closing = kClosing.find(found);
    if (closing == kClosing.npos) return;
    if (open_brackets.empty() || open_brackets.back() != kOpening[closing]) {
      FailAtLine(where_, line_, "unexpected bracket in the chat template", std::string(found));
    }
    open_brackets.pop_back();
  }

  size_t NameLength() const {
    size_t length = 0;
    while (at_ + length < source_.size()) {
      const DecodedChar c = DecodeChar(Rest().substr(length));
      const bool plain = c.code_point == '_' || IsChar(c.code_point, kPyAlpha) || IsChar(c.code_point, kPyNumeric);
      if (!plain) break;
      length += static_cast<size_t>(c.length);
    }
    return length;
  }

  // Digits with single underscores between them.
  size_t DigitsFrom(size_t offset) const {
    size_t end = offset;
    while (end < source_.size() && (IsDigit(source_[end]) || (source_[end] == '_' && end > offset &&
                                                              end + 1 < source_.size() && IsDigit(source_[end + 1])))) {
      ++end;
    }
    return end;
  }

  void ReadNumber() {
    size_t end = DigitsFrom(at_);
    bool is_float = false;
    const bool attribute = at_ > 0 && source_[at_ - 1] == '.';  // x.0.1
    const auto digit_at = [&](size_t i) { return i < source_.size() && IsDigit(source_[i]); };
    if (!attribute && end < source_.size() && source_[end] == '.' && digit_at(end + 1)) {
      end = DigitsFrom(end + 1);
      is_float = true;
    }
    if (!attribute && end < source_.size() && (source_[end] == 'e' || source_[end] == 'E')) {
      const size_t digits = end + 1 + (SignAt(end + 1) != 0 ? 1 : 0);
      if (digit_at(digits)) {
        end = DigitsFrom(digits);
        is_float = true;
      }
    }
    std::string spelling(source_.substr(at_, end - at_));
    const bool based =
        spelling == "0" && end < source_.size() && std::isalpha(static_cast<unsigned char>(source_[end]));
    if (!is_float &&
        (based || (spelling.size() > 1 && spelling[0] == '0' && spelling.find_first_not_of("0_") != spelling.npos))) {
      FailAtLine(where_, line_, "number not supported in the chat template", std::string(Rest().substr(0, 20)),
                 "a decimal number");
    }
    std::erase(spelling, '_');
    Add(is_float ? TokenKind::kFloat : TokenKind::kInteger, std::move(spelling));
    Advance(end);
  }

  void ReadString(char quote) {
    size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) {
      FailAtLine(where_, line_, "unfinished string in the chat template", std::string(Rest().substr(0, 40)));
    }
    std::string problem;
    std::optional<Text> meaning = UnescapeLiteral(source_.substr(at_ + 1, end - at_ - 1), problem);
    if (!meaning) FailAtLine(where_, line_, "string not supported in the chat template", problem);
    Add(TokenKind::kString, {}, std::move(*meaning));
    Advance(end + 1);
  }

  std::string_view source_;
  const std::string& where_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;  // nothing but a line's beginning stands before at_
  std::vector<Token> tokens_;
};

}  // namespace

void FailAtLine(const std::string& where, int line, const std::string& what, const std::string& found,
                const std::string& wanted) {
  Fail({.where = fmt::format("{}: line {}", where, line), .what = what, .found = found, .wanted = wanted});
}

std::vector<Token> Tokenize(std::string_view source, const std::string& where) {
  const std::string normal = NormalizeNewlines(RepairUtf8(source));
  return Lexer(normal, where).Run();
}

}  // namespace nla::jinja
