// What must hold of every training row, and how a row is named in errors.
#pragma once

#include <string>

#include "data/activation_row.h"
#include "data/dataset_sidecar.h"

namespace nla {

// "DATASET: row of DOCUMENT, token N".
std::string NameOf(const ActivationRow& row, const DatasetSidecar& dataset);
// Refuses a vector of another width or layer.
void CheckRow(const ActivationRow& row, const DatasetSidecar& dataset);

}  // namespace nla
