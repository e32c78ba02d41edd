// Reading training and held-out rows.
#include "train/batch_source.h"

#include <fmt/format.h>

#include "base/fail.h"
#include "base/hash.h"

namespace nla {
namespace {

constexpr int64_t kRowsAhead = 512;

}  // namespace

bool HeldOutRule::Holds(const std::string& doc_id) const {
  if (fraction <= 0) return false;
  const auto digest = Sha256(fmt::format("{}|{}", seed, doc_id));
  uint64_t number = 0;
  for (int i = 0; i < 8; ++i) number = number << 8 | digest[i];
  return static_cast<double>(number >> 11) * 0x1p-53 < fraction;
}

void ForEachRow(const std::filesystem::path& path, const std::function<bool(ActivationRow&)>& visit) {
  ActivationReader reader = ActivationReader::Open(path);
  for (std::vector<ActivationRow> rows = reader.Next(kRowsAhead); !rows.empty(); rows = reader.Next(kRowsAhead)) {
    for (ActivationRow& row : rows) {
      if (!visit(row)) return;
    }
  }
}

BatchSource::BatchSource(const std::filesystem::path& dataset, const HeldOutRule& rule)
    : path_(dataset), rule_(rule), reader_(ActivationReader::Open(dataset)), rows_per_epoch_(reader_.row_count()) {
  if (rule.fraction > 0) {
    ForEachRow(dataset, [&](const ActivationRow& row) {
      if (rule_.Holds(row.doc_id)) --rows_per_epoch_;
      return true;
    });
  }
  if (rows_per_epoch_ < 1) {
    Fail({.where = dataset.string(),
          .what = "no rows to train on",
          .found = fmt::format("{} rows, all of held-out documents", reader_.row_count()),
          .mend = "Give more data or lower heldout_fraction"});
  }
}

std::vector<ActivationRow> BatchSource::Next(int64_t rows) {
  std::vector<ActivationRow> batch;
  while (static_cast<int64_t>(batch.size()) < rows) {
    if (next_ == buffer_.size()) {
      buffer_ = reader_.Next(kRowsAhead);
      next_ = 0;
      if (buffer_.empty()) {
        Seek({.row = 0, .epoch = cursor_.epoch + 1});
        continue;
      }
    }
    ActivationRow& row = buffer_[next_++];
    ++cursor_.row;
    if (!rule_.Holds(row.doc_id)) batch.push_back(std::move(row));
  }
  return batch;
}

void BatchSource::Seek(const DataCursor& cursor) {
  if (cursor.row < 0 || cursor.row > reader_.row_count() || cursor.epoch < 0) {
    Fail({.where = path_.string(),
          .what = "the run to continue stands beyond this file's end",
          .found = fmt::format("row {}", cursor.row),
          .wanted = fmt::format("at most {}", reader_.row_count()),
          .mend = "Continue with the dataset that the run began with"});
  }
  cursor_ = cursor;
  buffer_.clear();
  next_ = 0;
  reader_.Seek(cursor.row);
}

std::vector<ActivationRow> HeldOutRows(const std::filesystem::path& dataset, const std::filesystem::path& heldout,
                                       const HeldOutRule& rule, int64_t limit) {
  std::vector<ActivationRow> rows;
  if (heldout.empty() && rule.fraction <= 0) return rows;
  ForEachRow(heldout.empty() ? dataset : heldout, [&](ActivationRow& row) {
    if (!heldout.empty() || rule.Holds(row.doc_id)) rows.push_back(std::move(row));
    return static_cast<int64_t>(rows.size()) < limit;
  });
  if (rows.size() < 2) {
    Fail({.where = heldout.empty() ? dataset.string() : heldout.string(),
          .what = "too few held-out rows to evaluate on",
          .found = fmt::format("{}", rows.size()),
          .wanted = "2 or more"});
  }
  return rows;
}

}  // namespace nla
