// Names of datasets: two runs that would write the same rows get the same name (formats.md section 3).
#pragma once

#include <cstdint>
#include <string>

namespace nla {

// The slice of a corpus that a run takes: `length` documents from `start`.
struct CorpusSlice {
  int64_t start = 0;
  int64_t length = 0;
};

// base_{last part of base_model}_L{layer}_{8 hex digits of base_model, layer, corpus and slice}.
std::string BaseDatasetId(const std::string& base_model, int64_t layer, const std::string& corpus,
                          const CorpusSlice& slice);

// Name of what stage `build` makes of a dataset: the stage's name in place of "base".
std::string BuiltDatasetId(const std::string& stage, const std::string& input_id);

}  // namespace nla
