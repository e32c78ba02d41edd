// Checks of training rows.
#include "train/row_checks.h"

#include <fmt/format.h>

#include "base/fail.h"

namespace nla {

std::string NameOf(const ActivationRow& row, const DatasetSidecar& dataset) {
  return fmt::format("{}: row of document {}, token {}", dataset.dataset_id, row.doc_id, row.n_raw_tokens);
}

void CheckRow(const ActivationRow& row, const DatasetSidecar& dataset) {
  const auto width = static_cast<int64_t>(row.activation.size());
  if (width != dataset.d_model) {
    Fail({.where = NameOf(row, dataset),
          .what = "width of the activation",
          .found = fmt::format("{}", width),
          .wanted = fmt::format("{}", dataset.d_model)});
  }
  if (row.activation_layer != dataset.layer_index) {
    Fail({.where = NameOf(row, dataset),
          .what = "layer of the activation",
          .found = fmt::format("{}", row.activation_layer),
          .wanted = fmt::format("{}", dataset.layer_index)});
  }
}

}  // namespace nla
