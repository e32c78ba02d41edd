// Reads the script's records from a pipe. Offsets are compared in characters of the original text, of which each broken
// stretch of bytes is one.
#include "text/library_lines_testing.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>

#include "text/oracle_testing.h"
#include "text/unicode.h"

namespace nla::testing {
namespace {

using Ids = std::vector<TokenId>;

struct Record {
  std::string raw;
  Ids ids, offsets, special, special_offsets;
  std::string decoded, decoded_all;
};

class Records {
 public:
  explicit Records(const std::string& command) : pipe_(::popen(command.c_str(), "r")) {
    if (pipe_ == nullptr) throw std::runtime_error("cannot run " + command);
  }
  Records(const Records&) = delete;
  Records& operator=(const Records&) = delete;
  ~Records() {
    if (pipe_ != nullptr) ::pclose(pipe_);
  }

  std::optional<Record> Next() {
    uint32_t length = 0;
    if (std::fread(&length, sizeof(length), 1, pipe_) != 1) return std::nullopt;
    Record record;
    record.raw = Bytes(length);
    for (Ids* list : {&record.ids, &record.offsets, &record.special, &record.special_offsets}) {
      const std::string bytes = Field();
      list->resize(bytes.size() / sizeof(TokenId));
      std::memcpy(list->data(), bytes.data(), list->size() * sizeof(TokenId));
    }
    record.decoded = Field();
    record.decoded_all = Field();
    return record;
  }

  // Whether the command ended well. No more records after this.
  bool Close() {
    const int status = ::pclose(pipe_);
    pipe_ = nullptr;
    return status == 0;
  }

 private:
  std::string Field() {
    uint32_t length = 0;
    if (std::fread(&length, sizeof(length), 1, pipe_) != 1) throw std::runtime_error("record ends early");
    return Bytes(length);
  }
  std::string Bytes(uint32_t length) {
    std::string bytes(length, '\0');
    if (std::fread(bytes.data(), 1, length, pipe_) != length) throw std::runtime_error("field ends early");
    return bytes;
  }

  FILE* pipe_;
};

// Where each character of `raw` begins, and its end.
std::vector<size_t> CharacterStarts(std::string_view raw) {
  std::vector<size_t> starts;
  for (size_t offset = 0; offset < raw.size();) {
    const size_t valid = ValidUtf8Prefix(raw.substr(offset));
    for (const size_t end = offset + valid; offset < end;) {
      starts.push_back(offset);
      offset += static_cast<size_t>(DecodeChar(raw.substr(offset)).length);
    }
    if (offset == raw.size()) break;
    starts.push_back(offset);
    offset += IllFormedLength(raw.substr(offset));
  }
  starts.push_back(raw.size());
  return starts;
}

void CheckEncoding(const Tokenizer& tokenizer, const Record& record, bool parse_special, LineCounts& counts) {
  const Ids& ids = parse_special ? record.special : record.ids;
  const Ids& characters = parse_special ? record.special_offsets : record.offsets;
  EXPECT_EQ(tokenizer.Encode(record.raw, {.parse_special = parse_special}), ids);
  const Encoding encoding = tokenizer.EncodeWithOffsets(record.raw, {.parse_special = parse_special});
  EXPECT_EQ(encoding.ids, ids);
  ASSERT_EQ(encoding.offsets.size(), encoding.ids.size());
  if (characters.empty() || ::testing::Test::HasFailure()) return;
  ++counts.with_offsets;
  const std::vector<size_t> starts = CharacterStarts(record.raw);
  for (size_t i = 0; i < ids.size(); ++i) {
    const ByteRange wanted{starts.at(static_cast<size_t>(characters[2 * i])),
                           starts.at(static_cast<size_t>(characters[2 * i + 1]))};
    EXPECT_EQ(encoding.offsets[i].begin, wanted.begin) << "token " << i;
    EXPECT_EQ(encoding.offsets[i].end, wanted.end) << "token " << i;
    if (::testing::Test::HasFailure()) return;
  }
}

void Check(const Tokenizer& tokenizer, const Record& record, LineCounts& counts) {
  const bool specials = !record.special.empty();
  const Ids& ids = specials ? record.special : record.ids;
  if (record.raw.empty()) {
    ++counts.id_lists;
  } else {
    ++counts.lines;
    CheckEncoding(tokenizer, record, false, counts);
    counts.with_specials += specials;
    if (specials) CheckEncoding(tokenizer, record, true, counts);
  }
  EXPECT_EQ(tokenizer.Decode(ids, true), record.decoded);
  EXPECT_EQ(tokenizer.Decode(ids, false), record.decoded_all);
  EXPECT_EQ(StreamAll(tokenizer, ids, true), record.decoded);
  EXPECT_EQ(StreamAll(tokenizer, ids, false), record.decoded_all);
}

std::string Escaped(std::string_view raw) {
  std::string out;
  for (const char c : raw.substr(0, 3000)) {
    char buffer[8];
    std::snprintf(buffer, sizeof(buffer), c >= ' ' && c < 127 && c != '\\' ? "%c" : "\\x%02x",
                  static_cast<unsigned char>(c));
    out += buffer;
  }
  return out;
}

}  // namespace

LineCounts CheckLibraryLines(const std::filesystem::path& directory, const Tokenizer& tokenizer, int count) {
  LineCounts counts;
  Records records(std::string(NLA_PYTHON) + " " + NLA_SOURCE_DIR + "/tools/oracles/tokenizer_lines.py " +
                  directory.string() + " " + std::to_string(count));
  while (const std::optional<Record> record = records.Next()) {
    Check(tokenizer, *record, counts);
    if (::testing::Test::HasFailure()) {
      ADD_FAILURE() << "first differing line, number " << counts.lines << ": " << Escaped(record->raw);
      return counts;
    }
  }
  EXPECT_TRUE(records.Close()) << "the script failed";
  return counts;
}

std::string Capture(const std::string& command) {
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot run " + command);
  std::string out;
  char buffer[4096];
  while (const size_t count = std::fread(buffer, 1, sizeof(buffer), pipe)) out.append(buffer, count);
  if (::pclose(pipe) != 0) throw std::runtime_error("failed: " + command);
  while (out.ends_with('\n')) out.pop_back();
  return out;
}

}  // namespace nla::testing
