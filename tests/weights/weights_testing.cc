// Helpers of the weight file tests.
#include "weights_testing.h"

#include <stdlib.h>

#include <algorithm>
#include <fstream>
#include <stdexcept>

#include "nla/error.h"

namespace nla {

Scratch::Scratch() {
  std::string name = (fs::temp_directory_path() / "nla_weights_XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a scratch directory");
  path_ = name;
}

Scratch::~Scratch() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

fs::path Scratch::Put(const std::string& name, std::string_view bytes) const {
  const fs::path path = path_ / name;
  fs::create_directories(path.parent_path());
  fs::remove(path);  // ext4 flushes a file that is cut to nothing and written again, which is slow thousands of times
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) throw std::runtime_error("cannot write " + path.string());
  return path;
}

std::vector<std::string> Scratch::Names() const {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(path_)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

fs::path Golden(const std::string& name) { return fs::path(NLA_SOURCE_DIR) / "tests/weights/golden" / name; }

std::string ErrorOf(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::string_view Text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string GgufString(std::string_view text) { return Raw<uint64_t>(text.size()) + std::string(text); }

void GgufMaker::Pair(std::string_view key, uint32_t type, std::string_view value) {
  pairs_ += GgufString(key) + Raw(type) + std::string(value);
  ++pair_count_;
}

void GgufMaker::Tensor(std::string_view name, const std::vector<uint64_t>& extents, uint32_t type, uint64_t offset) {
  tensors_ += GgufString(name) + Raw(static_cast<uint32_t>(extents.size()));
  for (const uint64_t extent : extents) tensors_ += Raw(extent);
  tensors_ += Raw(type) + Raw(offset);
  ++tensor_count_;
}

std::string GgufMaker::Bytes() const {
  std::string bytes = magic + Raw(version) + Raw(tensor_count_ + tensor_count_lie) + Raw(pair_count_ + pair_count_lie);
  bytes += pairs_ + tensors_;
  bytes.resize((bytes.size() + alignment - 1) / alignment * alignment, '\0');
  return bytes + data;
}

}  // namespace nla
