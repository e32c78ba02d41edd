// Training rows in file order, epoch after epoch, in constant memory; and the rows held out of training.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/activation_table.h"
#include "train/checkpoint.h"

namespace nla {

// Documents kept out of training, chosen by a hash of (seed, doc_id): the same for every file order and every run.
struct HeldOutRule {
  double fraction = 0;
  int64_t seed = 0;
  bool Holds(const std::string& doc_id) const;
};

// Endless. Not thread-safe.
class BatchSource {
 public:
  // A file with nothing left to train on is an error.
  BatchSource(const std::filesystem::path& dataset, const HeldOutRule& rule);

  // The next `rows` rows of training documents; wraps at the end of the file.
  std::vector<ActivationRow> Next(int64_t rows);
  // Rows of training documents in one epoch.
  int64_t rows_per_epoch() const { return rows_per_epoch_; }
  // Where the next call of Next begins to read.
  DataCursor cursor() const { return cursor_; }
  void Seek(const DataCursor& cursor);

 private:
  std::filesystem::path path_;
  HeldOutRule rule_;
  ActivationReader reader_;
  int64_t rows_per_epoch_ = 0;
  DataCursor cursor_;
  std::vector<ActivationRow> buffer_;  // rows read ahead; the next one is at next_
  size_t next_ = 0;
};

// Calls `visit` with every row of a file until it returns false.
void ForEachRow(const std::filesystem::path& path, const std::function<bool(ActivationRow&)>& visit);

// The first `limit` held-out rows: of `heldout` when given, else those of the dataset whose documents the rule holds.
std::vector<ActivationRow> HeldOutRows(const std::filesystem::path& dataset, const std::filesystem::path& heldout,
                                       const HeldOutRule& rule, int64_t limit);

}  // namespace nla
