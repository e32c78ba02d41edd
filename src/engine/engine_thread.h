// The engine on a thread of its own, for callers on many threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "engine/engine.h"

namespace nla {

enum class PauseMode {
  kAbort,    // what runs is aborted
  kRetract,  // what runs gives up its keys and values; afterwards they are computed again, and it goes on
  kInPlace,  // what runs goes on afterwards as if nothing had been
};

// All members may be called from any thread but the engine's own (a sink may not). Calls other than Submit and counts
// wait for the step in progress.
class EngineThread {
 public:
  EngineThread(const Decoder& decoder, const Tokenizer& tokenizer, const EngineOptions& options);
  ~EngineThread();  // aborts what runs
  EngineThread(const EngineThread&) = delete;
  EngineThread& operator=(const EngineThread&) = delete;

  int64_t max_tokens() const;
  // Errors as Engine::Check's; after Drain() the request is refused by an error.
  RequestId Submit(EngineRequest request, EngineSink sink);
  bool Abort(RequestId id, const std::string& message);
  int64_t AbortAll(const std::string& message);
  // Requests wait until Continue(). Returns the number of requests that it aborted or halted.
  int64_t Pause(PauseMode mode);
  void Continue();
  bool paused() const;
  // Forgets the keys and values of ended requests. False: refused, since requests run.
  bool FlushCache();
  // Runs `work` between two steps, with nothing else using the decoder, and waits for its end; what it throws is thrown
  // here. For changing weights: afterwards no key or value from before is used.
  void WithWeights(const std::function<void()>& work);
  // Takes no new requests and waits at most so long for the others to end; then aborts them.
  void Drain(double seconds);
  EngineCounts counts() const;  // as of the last step

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nla
