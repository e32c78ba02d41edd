// What the training tests share: a tiny checkpoint with a tokenizer, and datasets made for it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/activation_row.h"
#include "data/dataset_sidecar.h"
#include "nlohmann/json.hpp"

namespace nla {

// A directory of its own for a test, removed at the end.
class TestFolder {
 public:
  TestFolder();
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  ~TestFolder();
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline constexpr int64_t kTinyWidth = 64;
inline constexpr int64_t kTinyLayer = 1;

// The tiny Llama checkpoint with a byte tokenizer and a ChatML template.
void WriteTinyModel(const std::filesystem::path& directory);
// `rows` made-up rows (four a document) of the stage "av_sft" or "ar_sft" with a sidecar; seeded, so equal calls give
// equal files. A row's vector says which of a few responses it has, so that there is something to learn.
void WriteTinyDataset(const std::filesystem::path& path, const std::string& stage, int64_t rows,
                      const std::filesystem::path& model);
std::vector<ActivationRow> TinyRows(const std::string& stage, int64_t rows, const DatasetSidecar& sidecar);

// The lines of a metrics.jsonl, each without the fields that tell the time.
std::vector<nlohmann::json> ReadMetrics(const std::filesystem::path& path);

// The message of the nla::Error that `work` throws; "" when it throws none.
template <typename Work>
std::string ErrorOf(const Work& work) {
  try {
    work();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

}  // namespace nla
