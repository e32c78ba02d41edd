#include "data/vector_writer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <bit>

#include "base/fail.h"
#include "base/file.h"
#include "data/activation_format.h"
#include "weights/safetensors.h"

namespace nla {
namespace {

static_assert(std::endian::native == std::endian::little, "values are written as they lie in memory");

class NpyWriter final : public VectorWriter {
 public:
  NpyWriter(const std::filesystem::path& path, int64_t rows, int64_t d_model)
      : file_(path), total_(static_cast<uint64_t>(rows * d_model)) {
    // Format 1.0: magic, version, 16-bit length, and a Python literal padded so that the values begin at 64·n.
    std::string header = fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", rows, d_model);
    constexpr size_t kPreamble = 10;
    header.append(64 - (kPreamble + header.size() + 1) % 64, ' ');
    header += '\n';
    file_.Write(std::string_view("\x93NUMPY\x01\x00", 8));
    const auto length = static_cast<uint16_t>(header.size());
    file_.Write(std::as_bytes(std::span(&length, 1)));
    file_.Write(header);
  }
  void Append(std::span<const float> values) override {
    file_.Write(std::as_bytes(values));
    written_ += values.size();
  }
  void Finish() override {
    NLA_CHECK(written_ == total_);
    file_.Commit();
  }

 private:
  AtomicFile file_;
  uint64_t total_;
  uint64_t written_ = 0;
};

class SafetensorsVectorWriter final : public VectorWriter {
 public:
  SafetensorsVectorWriter(const std::filesystem::path& path, int64_t rows, int64_t d_model)
      : file_(path, std::vector<TensorSpec>{{"activation_vector", DType::kF32, {rows, d_model}}}) {}
  void Append(std::span<const float> values) override { file_.Append(std::as_bytes(values)); }
  void Finish() override { file_.Commit(); }

 private:
  SafetensorsWriter file_;
};

class JsonlWriter final : public VectorWriter {
 public:
  JsonlWriter(const std::filesystem::path& path, int64_t d_model) : file_(path), d_model_(d_model) {}
  void Append(std::span<const float> values) override {
    NLA_CHECK(values.size() % static_cast<size_t>(d_model_) == 0);
    for (; !values.empty(); values = values.subspan(static_cast<size_t>(d_model_))) {
      file_.Write(fmt::format("{{\"activation_vector\": [{}]}}\n",
                              fmt::join(values.first(static_cast<size_t>(d_model_)), ", ")));
    }
  }
  void Finish() override { file_.Commit(); }

 private:
  AtomicFile file_;
  int64_t d_model_;
};

}  // namespace

bool VectorWriter::Writes(const std::filesystem::path& path) {
  const auto format = FormatByEnding(path);
  return format == ActivationFormat::kNpy || format == ActivationFormat::kSafetensors ||
         format == ActivationFormat::kJsonl;
}

std::unique_ptr<VectorWriter> VectorWriter::Open(const std::filesystem::path& path, int64_t rows, int64_t d_model) {
  NLA_CHECK(rows >= 0 && d_model > 0 && Writes(path));
  switch (*FormatByEnding(path)) {
    case ActivationFormat::kNpy:
      return std::make_unique<NpyWriter>(path, rows, d_model);
    case ActivationFormat::kSafetensors:
      return std::make_unique<SafetensorsVectorWriter>(path, rows, d_model);
    default:
      return std::make_unique<JsonlWriter>(path, d_model);
  }
}

}  // namespace nla
