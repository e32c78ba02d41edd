// The header is a Python literal: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }. It is parsed here as
// that and no more; nothing is ever evaluated or unpickled.
#include "data/npy.h"

#include <fmt/format.h>

#include <charconv>

#include "base/fail.h"

namespace nla {
namespace {

constexpr size_t kLongestHeader = size_t{1} << 20;
constexpr size_t kMostExtents = 32;

struct NpyHeader {
  std::string descr;
  std::string order;  // "True" or "False"
  std::vector<int64_t> shape;
  bool has_shape = false;
};

// Reads the literal from left to right; every surprise is one error.
class Literal {
 public:
  Literal(std::string_view text, const std::string& where) : rest_(text), text_(text), where_(where) {}

  NpyHeader Header() {
    NpyHeader header;
    Expect('{');
    while (!Skip('}')) {
      const std::string key = Quoted();
      Expect(':');
      if (key == "descr") {
        if (Peek() == '[') Refuse("a structured array", "one number a value");
        header.descr = Quoted();
      } else if (key == "fortran_order") {
        header.order = Word();
      } else if (key == "shape") {
        header.shape = Tuple();
        header.has_shape = true;
      } else {
        Bad();
      }
      if (!Skip(',') && Peek() != '}') Bad();
    }
    if (Peek() != '\0') Bad();
    if (header.descr.empty() || !header.has_shape || (header.order != "True" && header.order != "False")) Bad();
    return header;
  }

  [[noreturn]] void Refuse(const std::string& found, const std::string& wanted) const {
    Fail({.where = where_,
          .what = "unsupported type",
          .found = found,
          .wanted = wanted,
          .mend = "Save it again with .astype('float32')"});
  }

 private:
  [[noreturn]] void Bad() const {
    Fail({.where = where_,
          .what = "not a NumPy header",
          .found = std::string(text_.substr(0, 100)),
          .wanted = "{'descr': …, 'fortran_order': …, 'shape': …}"});
  }
  char Peek() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\n' || rest_[0] == '\t')) rest_.remove_prefix(1);
    return rest_.empty() ? '\0' : rest_[0];
  }
  bool Skip(char c) {
    if (Peek() != c || rest_.empty()) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void Expect(char c) {
    if (!Skip(c)) Bad();
  }
  std::string Quoted() {
    const char quote = Peek();
    if (quote != '\'' && quote != '"') Bad();
    const size_t end = rest_.find(quote, 1);
    if (end == std::string_view::npos) Bad();
    std::string text(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return text;
  }
  std::string Word() {
    Peek();
    const size_t end = std::min(rest_.find_first_of(", }"), rest_.size());
    std::string word(rest_.substr(0, end));
    rest_.remove_prefix(end);
    return word;
  }
  std::vector<int64_t> Tuple() {
    std::vector<int64_t> extents;
    Expect('(');
    while (!Skip(')')) {
      Peek();
      int64_t extent = 0;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), extent);
      if (error != std::errc() || extent < 0 || extents.size() == kMostExtents) Bad();
      rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
      Skip('L');  // Python 2 wrote its long integers so
      extents.push_back(extent);
      if (!Skip(',') && Peek() != ')') Bad();
    }
    return extents;
  }

  std::string_view rest_;
  std::string_view text_;
  const std::string& where_;
};

// The header's text, and where the values begin.
std::pair<std::string_view, size_t> FindHeader(const InputBytes& file) {
  const std::string_view bytes(reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size());
  const auto bad = [&](const std::string& what) {
    Fail({.where = file.name, .what = what, .mend = "The file is damaged or was cut short: copy or write it again"});
  };
  if (!bytes.starts_with(kNpyMagic) || bytes.size() < 10) bad("not a .npy file");
  const int version = static_cast<unsigned char>(bytes[6]);
  if (version < 1 || version > 3 || bytes[7] != 0) {
    Fail({.where = file.name,
          .what = "unknown .npy format",
          .found = fmt::format("{}.{}", version, static_cast<unsigned char>(bytes[7])),
          .wanted = "1.0, 2.0 or 3.0"});
  }
  const size_t digits = version == 1 ? 2 : 4;
  const size_t begin = 8 + digits;
  if (bytes.size() < begin) bad("the header is cut short");
  size_t length = 0;
  for (size_t i = 0; i < digits; ++i) length |= static_cast<size_t>(static_cast<unsigned char>(bytes[8 + i])) << 8 * i;
  if (length > kLongestHeader || length > bytes.size() - begin) bad("the header is longer than the file");
  return {bytes.substr(begin, length), begin + length};
}

// "<f4" and the like.
void SetType(Matrix& matrix, const std::string& descr, const Literal& literal) {
  const std::string wanted = "little- or big-endian float16, float32 or float64";
  if (descr.ends_with('O')) literal.Refuse("pickled objects, which are never opened", wanted);
  if (descr.size() != 3 || (descr[0] != '<' && descr[0] != '>') || descr[1] != 'f') {
    literal.Refuse(fmt::format("'{}'{}", descr, descr.ends_with("V2") ? " (bfloat16?)" : ""), wanted);
  }
  matrix.big_endian = descr[0] == '>';
  switch (descr[2]) {
    case '2':
      matrix.dtype = DType::kF16;
      return;
    case '4':
      matrix.dtype = DType::kF32;
      return;
    case '8':
      matrix.dtype = DType::kF64;
      return;
    default:
      literal.Refuse(fmt::format("'{}'", descr), wanted);
  }
}

}  // namespace

Matrix ParseNpy(InputBytes file) {
  const auto [text, begin] = FindHeader(file);
  const std::string name = file.name;
  Literal literal(text, name);
  const NpyHeader header = literal.Header();
  Matrix matrix{.column_major = header.order == "True", .data = std::move(file)};
  SetType(matrix, header.descr, literal);
  SetShape(matrix, header.shape);
  matrix.data.bytes = matrix.data.bytes.subspan(begin);
  return matrix;
}

std::unique_ptr<ActivationSource> OpenNpy(InputBytes file, const std::string& column) {
  if (!column.empty()) {
    FailUsage({.where = "--column",
               .what = fmt::format("{} holds one array without a name", file.name),
               .found = column,
               .mend = "Leave --column out"});
  }
  return OpenMatrix(ParseNpy(std::move(file)));
}

}  // namespace nla
