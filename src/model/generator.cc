// The generation loop: admit requests into free slots, advance all active ones by a token, hand out the finished.
#include "model/generator.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include "base/fail.h"
#include "base/interrupt.h"

namespace nla {

Generator::Generator(const Decoder& decoder, SamplingOptions sampling, int64_t slots)
    : decoder_(decoder), sampling_(std::move(sampling)), slots_(slots) {
  NLA_CHECK(slots > 0 && sampling_.max_new_tokens > 0);
}

void Generator::SetPrefix(std::span<const TokenId> ids) {
  const at::NoGradGuard no_grad;
  prefix_ = ids.empty() ? PrefixKeys{} : decoder_.ComputePrefix(decoder_.Embed(ids));
}

void Generator::Run(int64_t count, const std::function<GenerationRequest(int64_t)>& next,
                    const std::function<void(int64_t, Generation)>& done) {
  const at::NoGradGuard no_grad;
  std::vector<Active> active;
  int64_t started = 0;
  free_slots_.clear();
  slots_in_use_ = std::min(slots_, count);
  for (int64_t slot = slots_in_use_; slot-- > 0;) free_slots_.push_back(slot);
  cache_.reset();
  while (started < count || !active.empty()) {
    ThrowIfInterrupted();
    Admit(active, started, count, next);
    std::vector<Active> running;
    for (Active& request : active) {
      if (!Finished(request)) {
        running.push_back(std::move(request));
        continue;
      }
      cache_->Release(request.slot);
      free_slots_.push_back(request.slot);
      done(request.index, std::move(request.result));
    }
    active = std::move(running);
    if (active.empty()) continue;
    std::vector<TokenId> last;
    std::vector<int64_t> slots;
    for (const Active& request : active) {
      last.push_back(request.last);
      slots.push_back(request.slot);
    }
    Advance(active, decoder_.Step(decoder_.Embed(last), *cache_, slots), 0);
  }
}

void Generator::Admit(std::vector<Active>& active, int64_t& started, int64_t count,
                      const std::function<GenerationRequest(int64_t)>& next) {
  std::vector<at::Tensor> rows;
  std::vector<int64_t> slots;
  PackedBatch batch{prefix_.length, {}};
  const size_t first = active.size();
  int64_t longest = 0;
  while (started < count && !free_slots_.empty()) {
    GenerationRequest request = next(started);
    const int64_t length = request.prompt_TD.size(0);
    longest = std::max(longest, length);
    rows.push_back(std::move(request.prompt_TD));
    batch.lengths.push_back(length);
    slots.push_back(free_slots_.back());
    free_slots_.pop_back();
    active.push_back({started, slots.back(), -1, CounterRandom(request.seed, 0), {}});
    ++started;
  }
  if (rows.empty()) return;
  const int64_t needed = std::min(prefix_.length + longest + sampling_.max_new_tokens, decoder_.spec().max_positions);
  if (cache_ == nullptr || cache_->capacity() < needed) GrowCache(needed);
  const at::Tensor hidden =
      decoder_.Prefill(at::cat(rows), batch, *cache_, slots, prefix_.length > 0 ? &prefix_ : nullptr);
  std::vector<int64_t> last_rows;
  int64_t end = 0;
  for (const int64_t length : batch.lengths) last_rows.push_back((end += length) - 1);
  Advance(active, hidden.index_select(0, at::tensor(last_rows, at::kLong)), first);
}

// A new cache with room for the longest prompt so far; what is in use is copied over.
void Generator::GrowCache(int64_t capacity) {
  const ModelSpec& spec = decoder_.spec();
  capacity = std::min(capacity + capacity / 4, spec.max_positions);
  auto grown = std::make_unique<KvCache>(spec, decoder_.blocks(), slots_in_use_, capacity, decoder_.compute());
  if (cache_ != nullptr) grown->CopyFrom(*cache_);
  cache_ = std::move(grown);
}

void Generator::Advance(std::vector<Active>& active, const at::Tensor& residual_BD, size_t first) {
  at::Tensor logits_BV = decoder_.Logits(decoder_.FinalNorm(residual_BD)).to(at::kFloat).contiguous();
  const int64_t width = logits_BV.size(1);
  float* logits = logits_BV.mutable_data_ptr<float>();
  at::parallel_for(0, residual_BD.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      Active& request = active[first + row];
      const SampledToken token =
          SampleToken({logits + row * width, static_cast<size_t>(width)}, sampling_, request.random);
      request.last = token.id;
      if (std::find(sampling_.stop_ids.begin(), sampling_.stop_ids.end(), token.id) != sampling_.stop_ids.end()) {
        request.result.reason = FinishReason::kStop;
        continue;
      }
      request.result.ids.push_back(token.id);
      request.result.logprobs.push_back(token.logprob);
    }
  });
}

bool Generator::Finished(const Active& request) const {
  return request.result.reason == FinishReason::kStop ||
         static_cast<int64_t>(request.result.ids.size()) >= sampling_.max_new_tokens ||
         cache_->length(request.slot) + 1 > std::min(cache_->capacity(), decoder_.spec().max_positions);
}

}  // namespace nla
