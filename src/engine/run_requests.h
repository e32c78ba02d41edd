// Many requests through an engine from one thread, for work that has all of them at hand.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "engine/engine.h"

namespace nla {

struct Reply {
  std::vector<TokenId> ids;     // without the stop token
  std::vector<float> logprobs;  // one for each id
  Finish finish;
};

// `next(i)` makes request i of `count`, when there is a place for it; `done(i, reply)` is called as each ends, not in
// order. Ctrl-C ends it. The engine must be idle.
void RunRequests(Engine& engine, int64_t count, const std::function<EngineRequest(int64_t)>& next,
                 const std::function<void(int64_t, Reply)>& done);

}  // namespace nla
