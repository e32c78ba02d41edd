// A request is made when there is a place for it, so that what is wrong with a late one does not stop those before it.
#include "engine/run_requests.h"

#include <utility>

#include "base/fail.h"
#include "base/interrupt.h"

namespace nla {
namespace {

void Take(EngineEvent event, Reply& reply) {
  if (event.id >= 0 && !(event.finish && event.finish->stop_id == event.id)) {
    reply.ids.push_back(event.id);
    reply.logprobs.push_back(event.logprob);
  }
  if (event.finish) reply.finish = std::move(*event.finish);
}

}  // namespace

void RunRequests(Engine& engine, int64_t count, const std::function<EngineRequest(int64_t)>& next,
                 const std::function<void(int64_t, Reply)>& done) {
  NLA_CHECK(engine.idle());
  std::vector<std::pair<int64_t, Reply>> ended;
  int64_t started = 0;
  try {
    while (started < count || !engine.idle()) {
      ThrowIfInterrupted();
      while (started < count && engine.free_places() > 0) {
        const int64_t index = started++;
        engine.Submit(next(index), [index, &ended, reply = Reply()](RequestId, EngineEvent event) mutable {
          const bool end = event.finish.has_value();
          Take(std::move(event), reply);
          if (end) ended.emplace_back(index, std::move(reply));
        });
      }
      engine.Step();
      for (auto& [index, reply] : std::exchange(ended, {})) done(index, std::move(reply));
    }
  } catch (...) {
    engine.AbortAll("");
    throw;
  }
}

}  // namespace nla
