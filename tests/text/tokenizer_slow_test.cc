// SmolLM2's tokenizer against the `tokenizers` library and Jinja, run now, on text found on the machine.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>

#include "text/chat.h"
#include "text/library_lines_testing.h"
#include "text/oracle_testing.h"
#include "text/tokenizer.h"

namespace nla {
namespace {

namespace fs = std::filesystem;

using testing::Capture;

const fs::path& BaseModel() {
  static const fs::path directory = Capture("NLA_PROGRAM=" NLA_PROGRAM " " NLA_SOURCE_DIR "/tools/base_model.sh");
  return directory;
}

// A file that the oracle script writes; removed with the object.
class OracleFile {
 public:
  explicit OracleFile(const std::string& command)
      : path_(fs::path(::testing::TempDir()) / ("oracle_" + command + std::to_string(::getpid()) + ".jsonl")) {
    Capture(std::string(NLA_PYTHON) + " " + NLA_SOURCE_DIR + "/tools/goldens/text_tokenizer.py " + command + " " +
            BaseModel().string() + " " + path_.string());
  }
  ~OracleFile() { fs::remove(path_); }
  OracleFile(const OracleFile&) = delete;
  OracleFile& operator=(const OracleFile&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

TEST(TokenizerSlowTest, EqualsTheLibraryOnALargeCorpus) {
  const Tokenizer tokenizer = Tokenizer::Load(BaseModel());
  const OracleFile oracle("lines");
  const auto no_chat = [](const std::string&) -> const ChatFormat& { throw std::logic_error("no conversations here"); };
  const testing::OracleCounts counts = testing::CheckRecords(oracle.path(), tokenizer, no_chat);
  EXPECT_GE(counts.lines, 25000);
  EXPECT_GE(counts.decodes, 3000);
}

TEST(TokenizerSlowTest, ChatEqualsJinja) {
  const Tokenizer tokenizer = Tokenizer::Load(BaseModel());
  const ChatFormat chat = ChatFormat::Load(BaseModel());
  const OracleFile oracle("chat");
  const auto the_chat = [&](const std::string&) -> const ChatFormat& { return chat; };
  EXPECT_GE(testing::CheckRecords(oracle.path(), tokenizer, the_chat).chats, 30);
}

}  // namespace
}  // namespace nla
