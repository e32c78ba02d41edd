// What the tests of this folder and of tests/datagen share: a folder of their own, made-up rows, an error matcher,
// Python.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "data/activation_row.h"
#include "nla/error.h"

namespace nla {

// A temporary folder that goes with the object.
class TestFolder {
 public:
  TestFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "nla-test-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw Error("no temporary folder");
    path_ = name;
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  ~TestFolder() { std::filesystem::remove_all(path_); }

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline void WriteFileForTest(const std::filesystem::path& path, std::string_view text) {
  std::filesystem::create_directories(path.parent_path());
  std::filesystem::remove(path);  // a new file: some file systems flush one that is cut and written again
  std::ofstream(path, std::ios::binary) << text;
}

// Row i: vector (i, i + 0.5, …), two rows to a document, every column filled.
inline std::vector<ActivationRow> MakeRows(int64_t count, int64_t d_model) {
  std::vector<ActivationRow> rows;
  for (int64_t i = 0; i < count; ++i) {
    ActivationRow row;
    row.n_raw_tokens = 51 + i % 7;
    row.activation_layer = 20;
    row.doc_id = "made-up:train:" + std::to_string(i / 2);
    for (int64_t j = 0; j < d_model; ++j)
      row.activation.push_back(static_cast<float>(i) + 0.5F * static_cast<float>(j));
    row.text = "text of row " + std::to_string(i) + " — ünï";
    row.explanation = "explanation " + std::to_string(i);
    row.prompt_messages = {{"user", "prompt " + std::to_string(i) + " <INJECT>"}, {"assistant", "ä"}};
    row.prompt_text = "filled " + std::to_string(i);
    row.response = "response " + std::to_string(i);
    rows.push_back(std::move(row));
  }
  return rows;
}

// Runs a script of the project's Python with the folder as its argument; its exit status.
inline int RunPython(const TestFolder& folder, std::string_view script) {
  WriteFileForTest(folder / "script.py", script);
  const std::string command =
      std::string(NLA_PYTHON) + " '" + (folder / "script.py").string() + "' '" + folder.path().string() + "'";
  const int status = std::system(command.c_str());
  std::filesystem::remove(folder / "script.py");
  return status;
}

}  // namespace nla

// The statement throws nla::Error whose message holds `part`.
#define EXPECT_NLA_ERROR(statement, part)                        \
  do {                                                           \
    try {                                                        \
      static_cast<void>(statement);                              \
      ADD_FAILURE() << "no error: " #statement;                  \
    } catch (const ::nla::Error& nla_error) {                    \
      EXPECT_THAT(nla_error.what(), ::testing::HasSubstr(part)); \
    }                                                            \
  } while (false)
