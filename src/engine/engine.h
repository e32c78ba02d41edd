// Continuous batching over one decoder: requests enter and leave between steps, a step computes a token for every
// running reply and a bounded number of prompt rows, and equal beginnings of prompts are computed once.
// Threads and queues are engine_thread.h's; the arithmetic is src/model's.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "engine/request.h"
#include "engine/sequences.h"
#include "text/tokenizer.h"

namespace nla {

struct EngineOptions {
  int64_t max_running = 64;  // replies that are written at the same time
  int64_t kv_tokens = 0;     // tokens whose keys and values are kept; 0: 512 a running reply, and one as long as can be
  int64_t prefill_rows = 512;  // prompt rows that a step computes beside the running replies
};

struct EngineCounts {
  int64_t running = 0, waiting = 0;
  int64_t kv_tokens_used = 0, kv_tokens_total = 0;  // reserved by running replies, and all there is room for
  int64_t prompt_tokens = 0, cached_tokens = 0;     // since the start; cached ones were not computed
  int64_t reply_tokens = 0, steps = 0, finished = 0, aborted = 0;
};

// Borrows decoder and tokenizer. Not thread-safe but for Check and NewId.
class Engine {
 public:
  Engine(const Decoder& decoder, const Tokenizer& tokenizer, const EngineOptions& options);
  ~Engine();

  // Most rows of a prompt; a prompt and its reply have one token more together.
  int64_t max_tokens() const;
  // Usage errors: an empty prompt, a wrong width, values that are not finite, sampling options out of range, a prompt
  // that is too long.
  void Check(const EngineRequest& request) const;
  RequestId NewId() { return next_id_++; }
  // Enters a request that Check accepts. max_new_tokens is cut to what there is room for.
  void Enter(RequestId id, EngineRequest request, EngineSink sink);
  // Check and Enter.
  RequestId Submit(EngineRequest request, EngineSink sink);
  // The request ends with FinishReason::kAbort. False: it was over already.
  bool Abort(RequestId id, const std::string& message);
  int64_t AbortAll(const std::string& message);
  // Running requests go back to waiting and lose their keys and values, not their tokens; returns their number.
  int64_t RetractAll();
  // One step. False: nothing to do.
  bool Step();
  bool idle() const { return running_.empty() && waiting_.empty(); }
  // Requests that could enter and run at once, as far as their number goes.
  int64_t free_places() const { return options_.max_running - static_cast<int64_t>(running_.size() + waiting_.size()); }
  // Forgets the keys and values of ended requests.
  void FlushCache() { sequences_.Forget(); }
  EngineCounts counts() const;

 private:
  struct Request;
  struct Work;  // rows of one request that a step computes
  using RequestPtr = std::unique_ptr<Request>;

  void Admit();
  std::vector<Work> Plan();
  at::Tensor RowsOf(const std::vector<Work>& work);
  static std::vector<int64_t> WantedRows(std::vector<Work>& work);
  void ScorePrompts(const std::vector<Work>& work, const at::Tensor& residual_RD);
  void Sample(const std::vector<Work>& work, const at::Tensor& residual_RD);
  void TakeToken(Request& request, const SampledToken& token, std::vector<std::pair<TokenId, float>> top);
  void RemoveFinished();

  const Decoder& decoder_;
  const Tokenizer& tokenizer_;
  EngineOptions options_;
  Sequences sequences_;
  std::atomic<RequestId> next_id_ = 1;
  std::deque<RequestPtr> waiting_;
  std::vector<RequestPtr> running_;
  EngineCounts counts_;
};

}  // namespace nla
