// The pass looks for the ends of the top level's values and nothing else; what it leaves is checked by the parser.
#include "serve/request_body.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "serve/http_error.h"

namespace nla::serve {
namespace {

constexpr int kMostNesting = 64;  // of what is parsed into a tree, whose destruction recurses

bool Has(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

class Lifter {
 public:
  Lifter(std::string_view text, const LiftedFields& lifted, RequestBody& body)
      : text_(text), lifted_(lifted), body_(body) {}

  // The text without the lifted values.
  std::string Run() {
    SkipSpace();
    if (At() != '{') throw MalformedBody("the body is not a JSON object");
    ++place_;
    SkipSpace();
    if (At() == '}') ++place_;
    for (bool more = text_[place_ - 1] != '}'; more;) {
      SkipSpace();
      const std::string_view key = String();
      SkipSpace();
      if (At() != ':') Malformed("a colon");
      ++place_;
      SkipSpace();
      Value(key);
      SkipSpace();
      if (At() != ',' && At() != '}') Malformed("a comma or }");
      more = At() == ',';
      ++place_;
    }
    SkipSpace();
    if (place_ != text_.size()) Malformed("the end of the body");
    rest_ += text_.substr(copied_, place_ - copied_);
    return std::move(rest_);
  }

 private:
  char At() const { return place_ < text_.size() ? text_[place_] : '\0'; }

  void SkipSpace() {
    while (place_ < text_.size() && std::string_view(" \n\r\t").find(text_[place_]) != std::string_view::npos) ++place_;
  }

  // What stands between the quotes, as written.
  std::string_view String() {
    if (At() != '"') Malformed("a string");
    const size_t begin = ++place_;
    for (;; ++place_) {
      place_ = std::min(text_.find_first_of("\"\\", place_), text_.size());
      if (place_ == text_.size()) Malformed("the end of a string");
      if (text_[place_] == '"') return text_.substr(begin, place_++ - begin);
      ++place_;  // what is escaped
    }
  }

  void Value(std::string_view key) {
    if (!seen_.insert(std::string(key)).second) throw MalformedBody(fmt::format("\"{}\" is given twice", key));
    const size_t begin = place_;
    if (At() == '[' && Has(lifted_.arrays, key)) {
      ScannedArray array = ScanFloatArray(text_, place_, std::string(key));
      place_ = array.end;
      body_.arrays[std::string(key)] = std::move(array.floats);
      return Lift(begin);
    }
    if (At() == '"' && Has(lifted_.texts, key)) {
      const std::string_view value = String();
      if (value.find('\\') == std::string_view::npos) {  // base64 needs no escapes but \/, which the parser reads
        body_.texts[std::string(key)] = value;
        Lift(begin);
      }
      return;
    }
    Skip();
  }

  // Leaves out what stands from `begin` to here.
  void Lift(size_t begin) {
    rest_ += text_.substr(copied_, begin - copied_);
    rest_ += "true";
    copied_ = place_;
  }

  void Skip() {
    int depth = 0;
    do {
      const char c = At();
      if (c == '"') {
        String();
        continue;
      }
      if (c == '[' || c == '{') ++depth;
      if (c == ']' || c == '}') --depth;
      if (depth > kMostNesting) throw MalformedBody(fmt::format("nested deeper than {} levels", kMostNesting));
      if (depth < 0) Malformed("a value");
      if (place_ == text_.size()) Malformed("the end of a value");
      ++place_;
    } while (depth > 0 || (At() != ',' && At() != '}' && At() != ']' && place_ < text_.size()));
  }

  [[noreturn]] void Malformed(const std::string& wanted) const {
    throw MalformedBody(fmt::format("the body is not JSON: wanted {} at byte {}", wanted, place_));
  }

  std::string_view text_;
  const LiftedFields& lifted_;
  RequestBody& body_;
  std::set<std::string> seen_;
  std::string rest_;
  size_t place_ = 0;
  size_t copied_ = 0;  // bytes before it are in rest_, or lifted
};

}  // namespace

RequestBody ParseBody(std::string_view text, const LiftedFields& lifted) {
  RequestBody body;
  const std::string rest = Lifter(text, lifted, body).Run();
  try {
    body.fields = Json::parse(rest);
  } catch (const Json::exception& error) {
    const std::string_view what = error.what();  // "[json.exception.parse_error.101] parse error at …: …"
    throw MalformedBody(
        fmt::format("the body is not JSON: {}", what.substr(std::min(what.find("] ") + 2, what.size()))));
  }
  if (!body.fields.is_object()) throw MalformedBody("the body is not a JSON object");
  return body;
}

}  // namespace nla::serve
