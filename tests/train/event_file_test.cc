// Event files beside one that TensorBoard's own code serialised (tools/goldens/event_file.py), and on disk.
#include "train/event_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <sstream>

#include "base/file.h"
#include "train/train_testing.h"

namespace nla {
namespace {

using nlohmann::ordered_json;

const fs::path kGolden = fs::path(NLA_SOURCE_DIR) / "tests/train/golden/event_file";

std::vector<ordered_json> GoldenLines() {
  std::vector<ordered_json> lines;
  std::istringstream text(ReadFile(kGolden / "metrics.jsonl"));
  for (std::string line; std::getline(text, line);) lines.push_back(ordered_json::parse(line));
  return lines;
}

TEST(EventFileTest, RecordsAreThoseOfTensorBoard) {
  constexpr double kBegin = 1700000000.25;
  std::string written = event_record::Version(kBegin) + event_record::SessionStart(kBegin, 20);
  double time = kBegin;
  for (const ordered_json& line : GoldenLines()) written += event_record::Scalars(time++, line);
  EXPECT_EQ(written, ReadFile(kGolden / "events.golden"));
}

// Length, its sum, payload, its sum: the number of whole records.
int RecordsOf(const std::string& bytes) {
  int count = 0;
  size_t at = 0;
  while (at < bytes.size()) {
    uint64_t length = 0;
    std::memcpy(&length, bytes.data() + at, sizeof length);
    at += sizeof length + sizeof(uint32_t) + length + sizeof(uint32_t);
    ++count;
  }
  EXPECT_EQ(at, bytes.size());
  return count;
}

TEST(EventFileTest, EachStartOfARunHasItsFile) {
  const TestFolder folder;
  const std::vector<ordered_json> lines = GoldenLines();
  {
    EventFile first(folder / "tensorboard", 0);
    EventFile second(folder / "tensorboard", 20);
    first.Append(lines[0]);
    first.Append(lines[1]);
    second.Append(lines[2]);
  }
  std::multiset<int> records;
  for (const auto& entry : fs::directory_iterator(folder / "tensorboard")) {
    EXPECT_TRUE(entry.path().filename().string().starts_with("events.out.tfevents.")) << entry.path();
    records.insert(RecordsOf(ReadFile(entry.path())));
  }
  // The version and the session's start come first.
  EXPECT_EQ(records, (std::multiset<int>{3, 4}));
}

}  // namespace
}  // namespace nla
