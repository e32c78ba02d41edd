// Access to the goldens of tools/goldens/datagen_golden.py, and comparison of datasets with them.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "data/data_testing.h"

namespace nla {

std::filesystem::path DatagenGolden(const std::string& name);
nlohmann::json DatagenGoldenFacts();
// Row for row, vectors bit for bit.
void ExpectSameRows(const std::filesystem::path& found, const std::filesystem::path& wanted);
// Field for field and type for type as PyYAML reads both; times, makers and our own nla_cpp section aside.
void ExpectSameSidecar(const std::filesystem::path& found, const std::filesystem::path& wanted);
inline void ExpectSameDataset(const std::filesystem::path& found, const std::filesystem::path& wanted) {
  ExpectSameRows(found, wanted);
  ExpectSameSidecar(found, wanted);
}

}  // namespace nla
