// A reader of the small part of Jinja that ChatML templates are written in. It never guesses: what it does not know is
// an error.
#include "text/chat_template.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/fail.h"

namespace nla {
namespace {

using Kind = TemplatePart::Kind;
constexpr std::string_view kBlanks = " \t\r\n";

std::string_view Strip(std::string_view text) {
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// Offset of `wanted` in `text` outside of quotes, or npos.
size_t FindUnquoted(std::string_view text, std::string_view wanted) {
  char quote = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (quote != 0) {
      if (text[i] == '\\') {
        ++i;
      } else if (text[i] == quote) {
        quote = 0;
      }
    } else if (text.substr(i).starts_with(wanted)) {
      return i;
    } else if (text[i] == '\'' || text[i] == '"') {
      quote = text[i];
    }
  }
  return text.npos;
}

bool IsQuoted(std::string_view term) {
  return term.size() >= 2 && (term[0] == '\'' || term[0] == '"') && term.back() == term[0] &&
         FindUnquoted(term.substr(0, term.size() - 1), "\x01") == term.npos &&
         term.substr(1, term.size() - 2).find(term[0]) == term.npos;
}

std::string Unquote(std::string_view term) {
  std::string out;
  term = term.substr(1, term.size() - 2);
  for (size_t i = 0; i < term.size(); ++i) {
    if (term[i] != '\\' || i + 1 == term.size()) {
      out.push_back(term[i]);
      continue;
    }
    const char escaped = term[++i];
    out.push_back(escaped == 'n' ? '\n' : escaped == 't' ? '\t' : escaped == 'r' ? '\r' : escaped);
  }
  return out;
}

// One spelling for code that means the same: single spaces, single quotes, x.y for x['y'].
std::string Uniform(std::string_view code) {
  std::string out;
  for (const char c : Strip(code)) {
    const bool blank = kBlanks.find(c) != kBlanks.npos;
    if (blank && out.ends_with(' ')) continue;
    out.push_back(blank ? ' ' : c == '"' ? '\'' : c);
  }
  for (size_t open = out.find("['"); open != out.npos; open = out.find("['", open + 1)) {
    const size_t close = out.find("']", open);
    if (close == out.npos) break;
    out = out.substr(0, open) + "." + out.substr(open + 2, close - open - 2) + out.substr(close + 2);
  }
  return out;
}

class TemplateReader {
 public:
  TemplateReader(std::string_view source, const std::string& where) : rest_(source), where_(where) {
    if (rest_.ends_with('\n')) rest_.remove_suffix(1);
  }

  std::vector<TemplatePart> Read() {
    while (!rest_.empty()) {
      const size_t open = std::min({rest_.find("{%"), rest_.find("{{"), rest_.find("{#")});
      if (open == rest_.npos) {
        AddLiteral(std::string(rest_));
        break;
      }
      ReadText(open);
      ReadMarkup();
    }
    return std::move(parts_);
  }

 private:
  // Text up to the markup at `open`; blanks before "{%-", and those that only indent a tag, are not printed.
  void ReadText(size_t open) {
    std::string_view text = rest_.substr(0, open);
    const bool is_tag = rest_[open + 1] != '{';
    const bool at_start = parts_.empty();
    rest_.remove_prefix(open);
    if (rest_.size() > 2 && rest_[2] == '-') {
      text = text.substr(0, text.find_last_not_of(kBlanks) + 1);
    } else if (is_tag) {
      const size_t kept = text.find_last_not_of(" \t") + 1;
      if ((kept == 0 && at_start) || (kept > 0 && text[kept - 1] == '\n')) text = text.substr(0, kept);
    }
    AddLiteral(std::string(text));
  }

  void ReadMarkup() {
    const char kind = rest_[1];
    const std::string_view closing = kind == '%' ? "%}" : kind == '{' ? "}}" : "#}";
    std::string_view body = rest_.substr(2);
    const size_t end = kind == '#' ? body.find(closing) : FindUnquoted(body, closing);
    if (end == body.npos) {
      Fail({.where = where_, .what = "unfinished markup in the chat template", .found = Excerpt(rest_)});
    }
    rest_ = body.substr(end + 2);
    body = body.substr(0, end);
    if (body.starts_with('-')) body.remove_prefix(1);
    if (body.ends_with('-')) {
      body.remove_suffix(1);
      rest_.remove_prefix(std::min(rest_.find_first_not_of(kBlanks), rest_.size()));
    } else if (kind != '{' && rest_.starts_with('\n')) {
      rest_.remove_prefix(1);
    }
    if (kind == '%') parts_.push_back({Kind::kTag, Uniform(body)});
    if (kind == '{') ReadSum(body);
  }

  // Terms joined by "+".
  void ReadSum(std::string_view body) {
    while (true) {
      const size_t plus = FindUnquoted(body, "+");
      const std::string_view term = Strip(body.substr(0, plus));
      if (IsQuoted(term)) {
        AddLiteral(Unquote(term));
      } else {
        parts_.push_back({Kind::kExpression, Uniform(term)});
      }
      if (plus == body.npos) return;
      body.remove_prefix(plus + 1);
    }
  }

  // Neighbouring literals are one.
  void AddLiteral(std::string text) {
    if (text.empty()) return;
    if (!parts_.empty() && parts_.back().kind == Kind::kLiteral) {
      parts_.back().text += text;
    } else {
      parts_.push_back({Kind::kLiteral, std::move(text)});
    }
  }

  static std::string Excerpt(std::string_view text) { return std::string(text.substr(0, 60)); }

  std::string_view rest_;
  const std::string& where_;
  std::vector<TemplatePart> parts_;
};

// Walks the parts; Take consumes a run of them when it is next.
class PartCursor {
 public:
  explicit PartCursor(const std::vector<TemplatePart>& parts) : parts_(parts) {}

  bool Take(const std::vector<TemplatePart>& wanted) {
    if (parts_.size() - next_ < wanted.size()) return false;
    if (!std::equal(wanted.begin(), wanted.end(), parts_.begin() + static_cast<ptrdiff_t>(next_))) return false;
    next_ += wanted.size();
    return true;
  }
  // Takes a literal of the form PREFIX…SUFFIX and gives the middle.
  bool TakeLiteral(std::string_view prefix, std::string_view suffix, std::string& middle) {
    if (AtEnd() || parts_[next_].kind != Kind::kLiteral) return false;
    const std::string& text = parts_[next_].text;
    if (text.size() < prefix.size() + suffix.size() || !text.starts_with(prefix) || !text.ends_with(suffix))
      return false;
    middle = text.substr(prefix.size(), text.size() - prefix.size() - suffix.size());
    ++next_;
    return true;
  }
  bool AtEnd() const { return next_ == parts_.size(); }
  std::string Found() const { return AtEnd() ? "the end" : parts_[next_].text; }

 private:
  const std::vector<TemplatePart>& parts_;
  size_t next_ = 0;
};

TemplatePart Tag(std::string text) { return {Kind::kTag, std::move(text)}; }
TemplatePart Literal(std::string text) { return {Kind::kLiteral, std::move(text)}; }
TemplatePart Expression(std::string text) { return {Kind::kExpression, std::move(text)}; }

}  // namespace

std::vector<TemplatePart> ParseChatTemplate(std::string_view source, const std::string& where) {
  return TemplateReader(source, where).Read();
}

ChatMl RecogniseChatMl(std::string_view source, const std::string& where) {
  const std::vector<TemplatePart> parts = ParseChatTemplate(source, where);
  PartCursor cursor(parts);
  ChatMl made;
  cursor.Take({Tag("if not add_generation_prompt is defined"), Tag("set add_generation_prompt = false"), Tag("endif")});
  bool known = cursor.Take({Tag("for message in messages")});
  if (known && cursor.Take({Tag("if loop.first and messages[0].role != 'system'")})) {
    known = cursor.TakeLiteral("<|im_start|>system\n", "<|im_end|>\n", made.default_system) &&
            !made.default_system.empty() && cursor.Take({Tag("endif")});
  }
  known = known &&
          cursor.Take({Literal("<|im_start|>"), Expression("message.role"), Literal("\n"),
                       Expression("message.content"), Literal("<|im_end|>\n"), Tag("endfor")}) &&
          cursor.Take({Tag("if add_generation_prompt"), Literal("<|im_start|>assistant\n"), Tag("endif")}) &&
          cursor.AtEnd();
  if (!known) {
    Fail({.where = where,
          .what = "chat template not supported",
          .found = fmt::format("\"{}\"", cursor.Found().substr(0, 120)),
          .wanted =
              "ChatML: <|im_start|>ROLE, newline, CONTENT<|im_end|>, newline, with or without a default system turn",
          .mend = "Convert a checkpoint with a ChatML template"});
  }
  return made;
}

}  // namespace nla
