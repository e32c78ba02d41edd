// Replies on disk as they come, so that a run which was stopped goes on where it was: OUTPUT.journal beside the output,
// which appears whole at the end.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace nla {

// Not thread-safe. While it lives no other process may have the same journal.
class ReplyJournal {
 public:
  // `key` tells runs apart: a journal of another key is an error, or is lost when `replace`. A last line that was cut
  // is dropped.
  ReplyJournal(std::filesystem::path output, const std::string& key, bool replace);
  ReplyJournal(const ReplyJournal&) = delete;
  ReplyJournal& operator=(const ReplyJournal&) = delete;
  ~ReplyJournal();  // keeps the journal

  bool Has(int64_t row, int64_t sample) const { return lines_.contains({row, sample}); }
  int64_t size() const { return static_cast<int64_t>(lines_.size()); }
  // `line` is a JSON object with "index" (the row) and "sample", without line breaks.
  void Add(int64_t row, int64_t sample, std::string_view line);
  // Writes the output, the lines in the order of rows and samples, and removes the journal.
  void Finish();

 private:
  struct Place {
    uint64_t offset = 0;
    size_t size = 0;
  };
  void Load(const std::string& key, bool replace);
  void Begin(const std::string& key);
  uint64_t TakeLines(const std::string& text);
  void Append(std::string_view text);

  std::filesystem::path output_, path_;
  int fd_ = -1;
  uint64_t end_ = 0;  // of what is whole
  std::map<std::pair<int64_t, int64_t>, Place> lines_;
};

}  // namespace nla
