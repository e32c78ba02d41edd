#include "datagen/dataset_id.h"

#include <fmt/format.h>

#include <string_view>

#include "base/hash.h"

namespace nla {

std::string BaseDatasetId(const std::string& base_model, int64_t layer, const std::string& corpus,
                          const CorpusSlice& slice) {
  const std::string tail = base_model.substr(base_model.rfind('/') + 1);  // npos + 1 is 0: the whole name
  // The slice as Python prints a dict.
  const std::string key =
      fmt::format("{}|{}|{}|{{'start': {}, 'length': {}}}", base_model, layer, corpus, slice.start, slice.length);
  return fmt::format("base_{}_L{}_{}", tail, layer, Sha256Hex(key).substr(0, 8));
}

std::string BuiltDatasetId(const std::string& stage, const std::string& input_id) {
  constexpr std::string_view kBase = "base_";
  return fmt::format("{}_{}", stage, input_id.starts_with(kBase) ? input_id.substr(kBase.size()) : input_id);
}

}  // namespace nla
