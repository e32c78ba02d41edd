// Real tokenizers against the `tokenizers` library, run now, on many lines; and their worst cases.
// NLA_TOKENIZER_LINES sets the number of lines for each (200000 takes some minutes a tokenizer).
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <stdexcept>

#include "text/library_lines_testing.h"
#include "text/tokenizer.h"

namespace nla {
namespace {

namespace fs = std::filesystem;
using testing::Capture;

// Directory of a tokenizer; empty where it cannot be fetched.
fs::path DirectoryOf(const std::string& name) {
  if (name == "smollm2") return Capture("NLA_PROGRAM=" NLA_PROGRAM " " NLA_SOURCE_DIR "/tools/base_model.sh");
  try {
    return fs::path(Capture(NLA_SOURCE_DIR "/tools/fetch_tokenizers.sh " + name)) / name;
  } catch (const std::runtime_error&) {
    return {};
  }
}

int LineCount() {
  const char* wanted = std::getenv("NLA_TOKENIZER_LINES");
  return wanted != nullptr ? std::atoi(wanted) : 20000;
}

class RealTokenizerTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    directory_ = DirectoryOf(GetParam());
    if (directory_.empty()) GTEST_SKIP() << "tools/fetch_tokenizers.sh could not fetch " << GetParam();
  }
  fs::path directory_;
};

TEST_P(RealTokenizerTest, EqualsTheLibrary) {
  const Tokenizer tokenizer = Tokenizer::Load(directory_);
  const testing::LineCounts counts = testing::CheckLibraryLines(directory_, tokenizer, LineCount());
  std::printf("%s: %d lines (%d encodings with offsets, %d lines with special spellings), %d lists of ids\n",
              GetParam(), counts.lines, counts.with_offsets, counts.with_specials, counts.id_lists);
  EXPECT_GE(counts.lines, LineCount());
  EXPECT_GE(counts.with_offsets, LineCount() * 9 / 10);
  EXPECT_GE(counts.with_specials, LineCount() / 100);
  EXPECT_GE(counts.id_lists, LineCount() / 10);
}

TEST_P(RealTokenizerTest, AMegabyteOfOneCharacterIsQuick) {
  const Tokenizer tokenizer = Tokenizer::Load(directory_);
  for (const char* unit : {"a", " ", "7", "\n", "=", "😀", "한", "e\u0301", "\u0301", " a", "\xFF", "<", "'"}) {
    std::string line;
    while (line.size() < (1 << 20)) line += unit;
    const std::clock_t begun = std::clock();  // processor time: a busy machine must not fail this
    tokenizer.Encode(line);
    const double seconds = static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC;
    EXPECT_LT(seconds, 1.0) << '"' << unit << '"';
  }
}

INSTANTIATE_TEST_SUITE_P(All, RealTokenizerTest,
                         ::testing::Values("smollm2", "qwen2_5", "qwen3", "llama3", "llama3_2", "gemma3"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace nla
