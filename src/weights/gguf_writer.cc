// The bytes of a GGUF file's head. Which metadata a model has is gguf_metadata.cc's.
#include "weights/gguf_writer.h"

#include <bit>
#include <set>
#include <string_view>

#include "base/fail.h"
#include "weights/tensor_view.h"

namespace nla {
namespace {

constexpr uint64_t kAlignment = 32;

static_assert(std::endian::native == std::endian::little, "GGUF values are written by copying little-endian bytes");

// Collects the head's bytes.
class Head {
 public:
  template <typename T>
  void Number(T value) {
    static_assert(std::is_arithmetic_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  void String(std::string_view text) {
    Number<uint64_t>(text.size());
    bytes_ += text;
  }
  // A metadata value with the number of its type before it.
  void Value(const GgufValue& value) {
    std::visit([&](const auto& held) { Typed(held); }, value);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void Typed(uint32_t value) { Number<uint32_t>(4), Number(value); }
  void Typed(float value) { Number<uint32_t>(6), Number(value); }
  void Typed(bool value) { Number<uint32_t>(7), Number<uint8_t>(value); }
  void Typed(const std::string& value) { Number<uint32_t>(8), String(value); }
  void Typed(const std::vector<std::string>& values) {
    Array(8, values.size());
    for (const std::string& value : values) String(value);
  }
  void Typed(const std::vector<float>& values) {
    Array(6, values.size());
    for (const float value : values) Number(value);
  }
  void Typed(const std::vector<int32_t>& values) {
    Array(5, values.size());
    for (const int32_t value : values) Number(value);
  }
  void Array(uint32_t type, uint64_t count) { Number<uint32_t>(9), Number(type), Number(count); }

  std::string bytes_;
};

uint64_t Aligned(uint64_t offset) { return (offset + kAlignment - 1) / kAlignment * kAlignment; }

uint64_t DataSize(const GgufTensorSpec& tensor) {
  const GgmlTypeFacts* facts = FindGgmlType(static_cast<uint32_t>(tensor.type));
  NLA_CHECK(facts != nullptr && !tensor.shape.empty() && tensor.shape.back() % facts->values == 0);
  std::vector<int64_t> blocks = tensor.shape;
  blocks.back() /= facts->values;
  const std::optional<uint64_t> size = CheckedProduct(blocks, static_cast<uint64_t>(facts->bytes));
  NLA_CHECK(size.has_value());
  return *size;
}

}  // namespace

GgufWriter::GgufWriter(const std::filesystem::path& path, std::span<const GgufPair> metadata,
                       std::span<const GgufTensorSpec> tensors)
    : file_(path) {
  Head head;
  head.Number<uint32_t>(0x46554747);  // "GGUF"
  head.Number<uint32_t>(3);
  head.Number<uint64_t>(tensors.size());
  head.Number<uint64_t>(metadata.size());
  std::set<std::string_view> names;
  for (const GgufPair& pair : metadata) {
    NLA_CHECK(names.insert(pair.key).second);
    head.String(pair.key);
    head.Value(pair.value);
  }
  names.clear();
  uint64_t offset = 0;
  for (const GgufTensorSpec& tensor : tensors) {
    NLA_CHECK(names.insert(tensor.name).second);
    head.String(tensor.name);
    head.Number(static_cast<uint32_t>(tensor.shape.size()));
    for (size_t i = tensor.shape.size(); i-- > 0;) head.Number(static_cast<uint64_t>(tensor.shape[i]));
    head.Number(static_cast<uint32_t>(tensor.type));
    head.Number(offset);
    ends_.push_back(offset + DataSize(tensor));
    offset = Aligned(ends_.back());
  }
  file_.Write(head.bytes());
  Pad();
  data_begin_ = file_.size();
}

void GgufWriter::Pad() {
  const std::string zeros(Aligned(file_.size()) - file_.size(), '\0');
  file_.Write(zeros);
}

void GgufWriter::Append(std::span<const std::byte> bytes) {
  NLA_CHECK(ended_ < ends_.size() && file_.size() - data_begin_ + bytes.size() <= ends_[ended_]);
  file_.Write(bytes);
}

void GgufWriter::EndTensor() {
  NLA_CHECK(ended_ < ends_.size() && file_.size() - data_begin_ == ends_[ended_]);
  Pad();
  ++ended_;
}

void GgufWriter::Commit() {
  NLA_CHECK(ended_ == ends_.size());
  file_.Commit();
}

}  // namespace nla
