// Which tokens of a document an extraction takes: a pure function of the ids, the document's name and a seed, so that
// runs on disjoint slices of a corpus merge to what one run would write (formats.md section 3).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace nla {

struct PositionOptions {
  int64_t positions_per_doc = 10;
  int64_t min_position = 50;  // 0-based; an earlier token has too little context to mean much
  uint64_t seed = 0;
};

// 0-based positions in the order of drawing; fewer than positions_per_doc in a short document, none in a shorter one.
std::vector<int64_t> ChoosePositions(std::span<const TokenId> ids, const std::function<bool(TokenId)>& is_special,
                                     std::string_view doc_id, const PositionOptions& options);

}  // namespace nla
