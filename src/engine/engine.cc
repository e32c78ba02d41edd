// The engine's step: admit what there is room for, compute rows of all running requests in one pass, sample.
#include "engine/engine.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/fail.h"
#include "engine/reply_text.h"
#include "engine/request_checks.h"

namespace nla {
namespace {

// A request waits for a beginning that another one is computing, when that spares at least so many rows.
constexpr int64_t kWorthWaiting = 8;
constexpr int64_t kUsualTokens = 512;      // of a prompt and its reply
constexpr int64_t kMostByDefault = 32768;  // tokens kept, unless the user asks for more

int64_t KvTokens(const Decoder& decoder, const EngineOptions& options) {
  if (options.kv_tokens > 0) return options.kv_tokens;
  const int64_t longest = std::min(decoder.spec().max_positions, kMostByDefault);
  return std::max(longest, options.max_running * kUsualTokens);
}

}  // namespace

struct Engine::Request {
  Request(RequestId id, EngineRequest request, EngineSink to, const Tokenizer& tokenizer)
      : id(id),
        in(std::move(request)),
        sink(std::move(to)),
        keys(KeysOf(in.prompt_TD)),
        random(in.seed, 0),
        text(tokenizer, {in.stop, in.trim_stop, in.skip_special, in.stop_patterns}) {
    for (const TokenId token : in.prompt_ids) counts.emplace(token, 0);
    if (!in.prompt_logprobs_from) return;
    const int64_t scored = prompt_rows() - 1 - *in.prompt_logprobs_from;
    prompt.logprobs.resize(scored);
    if (in.top_logprobs > 0) prompt.top.resize(scored);
  }
  int64_t prompt_rows() const { return in.prompt_TD.size(0); }
  // Rows that are known: the prompt's and one for each token of the reply.
  int64_t rows() const { return prompt_rows() + static_cast<int64_t>(reply.size()); }
  // Rows that may come from another sequence: not those that tell how probable the next token of the prompt is.
  int64_t most_shared() const { return scores_prompt() ? *in.prompt_logprobs_from : Sequences::kAll; }
  bool scores_prompt() const { return in.prompt_logprobs_from && reply.empty(); }

  RequestId id;
  EngineRequest in;
  EngineSink sink;
  std::vector<RowKey> keys;  // while it waits; then they are the sequence's
  std::unique_ptr<Sequence> sequence;
  CounterRandom random;
  ReplyText text;
  TokenCounts counts;  // tokens that penalties are for
  std::vector<TokenId> reply;
  PromptLogprobs prompt;  // until they are told
  int64_t cached = 0;
  bool done = false;
};

struct Engine::Work {
  Request* request;
  int64_t rows;
  bool last;           // its last known row is among them, so that the next token can be sampled
  int64_t scored = 0;  // rows among them that tell how probable the prompt's next token was
};

Engine::Engine(const Decoder& decoder, const Tokenizer& tokenizer, const EngineOptions& options)
    : decoder_(decoder), tokenizer_(tokenizer), options_(options), sequences_(decoder, KvTokens(decoder, options)) {
  NLA_CHECK(options.max_running > 0 && options.prefill_rows > 0);
  counts_.kv_tokens_total = sequences_.total_tokens();
}

Engine::~Engine() = default;

int64_t Engine::max_tokens() const { return std::min(decoder_.spec().max_positions, sequences_.total_tokens()); }

void Engine::Check(const EngineRequest& request) const {
  CheckRequest(request, {decoder_.spec().d_model, decoder_.spec().vocab_size, max_tokens()});
}

RequestId Engine::Submit(EngineRequest request, EngineSink sink) {
  Check(request);
  const RequestId id = NewId();
  Enter(id, std::move(request), std::move(sink));
  return id;
}

void Engine::Enter(RequestId id, EngineRequest request, EngineSink sink) {
  request.prompt_TD = request.prompt_TD.contiguous();
  // The last token of a reply needs no room of its own.
  const int64_t room = max_tokens() - request.prompt_TD.size(0) + 1;
  request.sampling.max_new_tokens = std::min(request.sampling.max_new_tokens, room);
  waiting_.push_back(std::make_unique<Request>(id, std::move(request), std::move(sink), tokenizer_));
}

bool Engine::Abort(RequestId id, const std::string& message) {
  const auto end = [&](Request& request) {
    request.done = true;
    ++counts_.aborted;
    request.sink(id, {.text = request.text.Flush(),
                      .cached_tokens = request.cached,
                      .finish = Finish{.reason = FinishReason::kAbort, .message = message}});
  };
  const auto is_it = [id](const RequestPtr& request) { return request->id == id; };
  if (const auto it = std::find_if(waiting_.begin(), waiting_.end(), is_it); it != waiting_.end()) {
    end(**it);
    waiting_.erase(it);
    return true;
  }
  const auto it = std::find_if(running_.begin(), running_.end(), is_it);
  if (it == running_.end()) return false;
  end(**it);
  RemoveFinished();
  return true;
}

int64_t Engine::AbortAll(const std::string& message) {
  std::vector<RequestId> ids;
  for (const RequestPtr& request : running_) ids.push_back(request->id);
  for (const RequestPtr& request : waiting_) ids.push_back(request->id);
  for (const RequestId id : ids) Abort(id, message);
  return static_cast<int64_t>(ids.size());
}

int64_t Engine::RetractAll() {
  const auto count = static_cast<int64_t>(running_.size());
  for (auto it = running_.rbegin(); it != running_.rend(); ++it) {
    (*it)->keys = std::move((*it)->sequence->keys);
    sequences_.Discard(std::move((*it)->sequence));
    waiting_.push_front(std::move(*it));
  }
  running_.clear();
  return count;
}

bool Engine::Step() {
  const at::NoGradGuard no_grad;
  if (idle()) return false;
  Admit();
  std::vector<Work> work = Plan();
  std::vector<PagedRows> sequences;
  for (const Work& item : work) {
    const Sequence& sequence = *item.request->sequence;
    sequences.push_back({sequence.pages, sequence.stored, item.rows});
  }
  const std::vector<int64_t> wanted = WantedRows(work);
  const at::Tensor residual_RD = decoder_.Extend(RowsOf(work), sequences, sequences_.cache(), wanted);
  ScorePrompts(work, residual_RD);
  for (const Work& item : work) item.request->sequence->stored += item.rows;
  Sample(work, residual_RD);
  RemoveFinished();
  ++counts_.steps;
  return true;
}

void Engine::Admit() {
  while (!waiting_.empty() && static_cast<int64_t>(running_.size()) < options_.max_running) {
    Request& request = *waiting_.front();
    const Sequences::Beginning beginning = sequences_.Find(request.keys, request.most_shared());
    if (beginning.promised - beginning.stored >= kWorthWaiting) return;
    const int64_t tokens = request.prompt_rows() + request.in.sampling.max_new_tokens - 1;
    // Nothing but this request would free room when nothing runs: a request that Check accepted fits then.
    request.sequence = sequences_.Open(request.keys, std::max(tokens, static_cast<int64_t>(request.keys.size())),
                                       request.most_shared());
    if (request.sequence == nullptr) {
      NLA_CHECK(!running_.empty());
      return;
    }
    request.keys.clear();
    if (request.reply.empty()) {
      request.cached = request.sequence->stored;
      counts_.prompt_tokens += request.prompt_rows();
      counts_.cached_tokens += request.cached;
    }
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
}

// One row of every reply, then rows of prompts as far as the step's share of them goes.
std::vector<Engine::Work> Engine::Plan() {
  std::vector<Work> replies, prompts;
  int64_t share = options_.prefill_rows;
  for (const RequestPtr& request : running_) {
    const int64_t missing = request->rows() - request->sequence->stored;
    if (missing == 1 && !request->reply.empty()) {
      replies.push_back({request.get(), 1, true});
    } else if (share > 0) {
      const int64_t rows = std::min(missing, share);
      prompts.push_back({request.get(), rows, rows == missing});
      share -= rows;
    }
  }
  replies.insert(replies.end(), prompts.begin(), prompts.end());
  return replies;
}

// Embeddings of the planned rows, one request after another. Rows of replies get their keys here.
at::Tensor Engine::RowsOf(const std::vector<Work>& work) {
  std::vector<TokenId> ids;
  for (const Work& item : work) {
    const Request& request = *item.request;
    const int64_t begin = request.sequence->stored - request.prompt_rows();
    for (int64_t i = std::max<int64_t>(0, begin); i < begin + item.rows; ++i) ids.push_back(request.reply[i]);
  }
  const at::Tensor replies_TD = ids.empty() ? at::Tensor() : decoder_.Embed(ids).contiguous();
  const std::vector<RowKey> keys = ids.empty() ? std::vector<RowKey>() : KeysOf(replies_TD);
  std::vector<at::Tensor> parts;
  int64_t next = 0;
  for (const Work& item : work) {
    const Request& request = *item.request;
    Sequence& sequence = *request.sequence;
    const int64_t of_prompt = std::clamp<int64_t>(request.prompt_rows() - sequence.stored, 0, item.rows);
    if (of_prompt > 0) parts.push_back(request.in.prompt_TD.narrow(0, sequence.stored, of_prompt));
    const int64_t of_reply = item.rows - of_prompt;
    if (of_reply == 0) continue;
    parts.push_back(replies_TD.narrow(0, next, of_reply));
    for (int64_t i = 0; i < of_reply; ++i) {
      const int64_t row = sequence.stored + of_prompt + i;
      if (row == static_cast<int64_t>(sequence.keys.size())) sequence.keys.push_back(keys[next + i]);
    }
    next += of_reply;
  }
  return parts.size() == 1 ? parts[0] : at::cat(parts);
}

// The rows whose results are looked at, among those of all requests: of each the scored ones, then its last known one.
std::vector<int64_t> Engine::WantedRows(std::vector<Work>& work) {
  std::vector<int64_t> wanted;
  int64_t begin = 0;
  for (Work& item : work) {
    const Request& request = *item.request;
    const int64_t stored = request.sequence->stored;
    if (request.scores_prompt()) {
      const int64_t end = std::min(stored + item.rows, request.prompt_rows() - 1);
      for (int64_t row = std::max(*request.in.prompt_logprobs_from, stored); row < end; ++row, ++item.scored) {
        wanted.push_back(begin + row - stored);
      }
    }
    begin += item.rows;
    if (item.last) wanted.push_back(begin - 1);
  }
  return wanted;
}

// `residual_RD` are the wanted rows.
void Engine::ScorePrompts(const std::vector<Work>& work, const at::Tensor& residual_RD) {
  constexpr int64_t kRowsAtOnce = 64;  // their logits lie in memory together
  int64_t next = 0;
  for (const Work& item : work) {
    Request& request = *item.request;
    const int64_t from = request.in.prompt_logprobs_from.value_or(0);
    const int64_t row = std::max(from, request.sequence->stored);  // the first one scored
    for (int64_t done = 0; done < item.scored; done += kRowsAtOnce) {
      const int64_t count = std::min(kRowsAtOnce, item.scored - done);
      const at::Tensor normed_RD = decoder_.FinalNorm(residual_RD.narrow(0, next + done, count));
      at::Tensor logits_RV = decoder_.Logits(normed_RD).to(at::kFloat).contiguous();
      const int64_t width = logits_RV.size(1);
      float* data = logits_RV.mutable_data_ptr<float>();
      at::parallel_for(0, count, 1, [&](int64_t begin, int64_t stop) {
        for (int64_t i = begin; i < stop; ++i) {
          const std::span<float> logits(data + i * width, static_cast<size_t>(width));
          const int64_t token = row + done + i + 1;
          const auto index = static_cast<size_t>(token - 1 - from);
          request.prompt.logprobs[index] = LogprobOf(logits, request.in.prompt_ids[token]);
          if (request.in.top_logprobs > 0) request.prompt.top[index] = TopTokens(logits, request.in.top_logprobs);
        }
      });
    }
    next += item.scored + (item.last ? 1 : 0);
  }
}

// `residual_RD` are the wanted rows.
void Engine::Sample(const std::vector<Work>& work, const at::Tensor& residual_RD) {
  std::vector<int64_t> rows;
  std::vector<Request*> requests;
  int64_t next = 0;
  for (const Work& item : work) {
    next += item.scored;
    if (!item.last) continue;
    rows.push_back(next++);
    requests.push_back(item.request);
  }
  if (rows.empty()) return;
  const at::Tensor last_BD = next == static_cast<int64_t>(rows.size())
                                 ? residual_RD
                                 : residual_RD.index_select(0, at::tensor(rows, at::kLong));
  at::Tensor logits_BV = decoder_.Logits(decoder_.FinalNorm(last_BD)).to(at::kFloat).contiguous();
  const int64_t width = logits_BV.size(1);
  float* data = logits_BV.mutable_data_ptr<float>();
  std::vector<SampledToken> tokens(requests.size());
  std::vector<std::vector<std::pair<TokenId, float>>> tops(requests.size());
  at::parallel_for(0, static_cast<int64_t>(requests.size()), 1, [&](int64_t begin, int64_t stop) {
    for (int64_t i = begin; i < stop; ++i) {
      Request& request = *requests[i];
      const std::span<float> logits(data + i * width, static_cast<size_t>(width));
      ApplyPenalties(logits, request.in.sampling, request.counts, static_cast<int64_t>(request.reply.size()));
      tokens[i] = SampleToken(logits, request.in.sampling, request.random);
      if (request.in.top_logprobs > 0) tops[i] = TopTokens(logits, request.in.top_logprobs);
    }
  });
  for (size_t i = 0; i < requests.size(); ++i) TakeToken(*requests[i], tokens[i], std::move(tops[i]));
}

void Engine::TakeToken(Request& request, const SampledToken& token, std::vector<std::pair<TokenId, float>> top) {
  const SamplingOptions& sampling = request.in.sampling;
  request.reply.push_back(token.id);
  if (PenaltiesApply(sampling)) ++request.counts[token.id];
  ++counts_.reply_tokens;
  EngineEvent event{.id = token.id,
                    .logprob = token.logprob,
                    .top = std::move(top),
                    .cached_tokens = request.cached,
                    .prompt = std::exchange(request.prompt, {})};
  const bool stops = std::find(sampling.stop_ids.begin(), sampling.stop_ids.end(), token.id) != sampling.stop_ids.end();
  if (!stops || !request.in.trim_stop) event.text = request.text.Push(token.id);
  if (stops) {
    event.finish = Finish{.reason = FinishReason::kStop, .stop_id = token.id};
  } else if (request.text.stopped()) {
    event.finish = Finish{.reason = FinishReason::kStop, .stop_text = *request.text.stopped()};
  } else if (request.text.too_hard()) {
    event.finish =
        Finish{.reason = FinishReason::kAbort,
               .message = "stop_regex: looking for this pattern takes too many steps: " + *request.text.too_hard()};
  } else if (static_cast<int64_t>(request.reply.size()) >= sampling.max_new_tokens) {
    event.finish = Finish{.reason = FinishReason::kLength};
  }
  if (event.finish) {
    event.text += request.text.Flush();
    request.done = true;
    ++(event.finish->reason == FinishReason::kAbort ? counts_.aborted : counts_.finished);
  }
  request.sink(request.id, std::move(event));
}

void Engine::RemoveFinished() {
  for (const RequestPtr& request : running_) {
    if (request->done) sequences_.Close(std::move(request->sequence));
  }
  std::erase_if(running_, [](const RequestPtr& request) { return request->done; });
}

EngineCounts Engine::counts() const {
  EngineCounts counts = counts_;
  counts.running = static_cast<int64_t>(running_.size());
  counts.waiting = static_cast<int64_t>(waiting_.size());
  counts.kv_tokens_used = sequences_.used_tokens();
  return counts;
}

}  // namespace nla
