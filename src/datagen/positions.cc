#include "datagen/positions.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/fail.h"
#include "datagen/keyed_random.h"

namespace nla {

std::vector<int64_t> ChoosePositions(std::span<const TokenId> ids, const std::function<bool(TokenId)>& is_special,
                                     std::string_view doc_id, const PositionOptions& options) {
  NLA_CHECK(options.positions_per_doc >= 0 && options.min_position >= 0);
  std::vector<int64_t> candidates;
  for (auto i = static_cast<size_t>(options.min_position); i < ids.size(); ++i) {
    if (!is_special(ids[i])) candidates.push_back(static_cast<int64_t>(i));
  }
  const auto count = static_cast<int64_t>(candidates.size());
  PythonRandom random = KeyedRandom(fmt::format("{}|{}", options.seed, doc_id));
  std::vector<int64_t> chosen = random.Sample(count, std::min(options.positions_per_doc, count));
  for (int64_t& position : chosen) position = candidates[static_cast<size_t>(position)];
  return chosen;
}

}  // namespace nla
