// Threads take rows one after another; each has a connection of its own.
#include "client/remote_verbalizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "base/fail.h"
#include "base/log.h"
#include "engine/reply_seed.h"
#include "nla/prompt.h"

namespace nla {
namespace {

void CheckRows(std::span<const float> activations, int64_t d) {
  for (size_t i = 0; i < activations.size(); ++i) {
    if (std::isfinite(activations[i])) continue;
    Fail({.where = fmt::format("activation {}", static_cast<int64_t>(i) / d),
          .what = "holds NaN or Inf",
          .wanted = "finite numbers"});
  }
}

Verbalization FromReply(RemoteReply reply, const Tokenizer& tokenizer) {
  Verbalization out;
  out.raw = tokenizer.Decode(reply.ids, /*skip_special=*/false);
  out.explanation = ExtractExplanation(out.raw);
  out.finish_reason = reply.finish;
  for (const double logprob : reply.logprobs) out.logprob += logprob;
  out.ids = std::move(reply.ids);
  return out;
}

}  // namespace

RemoteVerbalizer::RemoteVerbalizer(ActorInputs inputs, const RemoteOptions& options)
    : inputs_(std::move(inputs)), options_(options), stop_ids_(inputs_.StopIds()) {
  HttpClient client(options_.http);
  facts_ = AskServer(client, options_.address, options_.kind);
  CheckServer();
  ChooseTransport();
  spdlog::info("{}: {} {}, embeddings as {}", options_.address.url, Name(facts_.kind), facts_.model,
               facts_.kind == ServerKind::kVllm ? "prompt_embeds" : FieldName(transport_));
}

void RemoteVerbalizer::CheckServer() const {
  const std::string& url = options_.address.url;
  if (facts_.d_model && *facts_.d_model != inputs_.d_model()) {
    Fail({.where = url,
          .what = fmt::format("its model, {}, is of another width than the verbalizer", facts_.model),
          .found = fmt::format("d_model {}", *facts_.d_model),
          .wanted = std::to_string(inputs_.d_model()),
          .mend = "Start the server on the verbalizer that --av or --pair names"});
  }
  if (facts_.caches_by_ids) {
    const Complaint complaint{
        .where = url,
        .what =
            "SGLang keeps its cache of beginnings, which cannot tell embeddings apart: replies of other vectors "
            "would be given out",
        .found = "disable_radix_cache false",
        .mend = "Start it with --disable-radix-cache, or pass --force"};
    if (!options_.force) Fail(complaint);
    spdlog::warn("{}", Describe(complaint));
  }
  const std::string& own = inputs_.sidecar().weights_hash;
  if (!own.empty() && !facts_.weights_hash.empty() && own != facts_.weights_hash) {
    spdlog::warn("{}: its verbalizer's weights are not those of this one ({}… instead of {}…): merged, or another step",
                 url, facts_.weights_hash.substr(0, 16), own.substr(0, 16));
  }
}

void RemoteVerbalizer::ChooseTransport() {
  const bool vllm = facts_.kind == ServerKind::kVllm;
  const auto scale = inputs_.sidecar().injection_scale.Resolve(inputs_.d_model());
  const bool rounds = !scale || *scale >= kLargestBf16Scale;  // an activation left as it is may be of any norm
  const auto takes = [&](Transport format) {
    return std::find(facts_.transports.begin(), facts_.transports.end(), format) != facts_.transports.end();
  };
  if (!options_.transport) {
    if (takes(Transport::kBytes)) transport_ = Transport::kBytes;
    return;
  }
  transport_ = *options_.transport;
  const std::string option = fmt::format("--transport {}", transport_ == Transport::kB64Bf16 ? "b64_bf16"
                                                           : transport_ == Transport::kBytes ? "bytes"
                                                                                             : "json");
  if (vllm) FailUsage({.where = option, .what = "is /generate's: a vLLM takes prompt_embeds alone"});
  if (transport_ == Transport::kB64Bf16 && rounds) {
    FailUsage({.where = option,
               .what = "would round the injected activation too far",
               .found = scale ? fmt::format("injection_scale {}", *scale) : "no injection_scale",
               .wanted = fmt::format("below {}", kLargestBf16Scale),
               .mend = "Use json or bytes"});
  }
  if (!facts_.transports.empty() && !takes(transport_)) {
    FailUsage({.where = option, .what = "is none of those that the server names", .mend = "Leave the option out"});
  }
}

RemoteReply RemoteVerbalizer::Ask(HttpClient& client, const RemoteRequest& request) const {
  const bool vllm = facts_.kind == ServerKind::kVllm;
  const std::string path = vllm ? "/v1/completions" : "/generate";
  const std::string url = options_.address.At(path);
  RemoteReply reply;
  HttpRequest post{.url = url, .headers = options_.address.Headers()};
  post.body = vllm ? CompletionBody(request, facts_.model) : GenerateBody(request, transport_);
  post.refuses = [&](const std::string& body) {
    reply = vllm ? ReadCompletionAnswer(body, stop_ids_, url) : ReadGenerateAnswer(body, stop_ids_, url);
    return reply.unusable.empty() ? "" : "the reply " + reply.unusable;
  };
  const HttpResponse response = client.Run(post);
  if (response.status != 200 || !response.error.empty()) FailServer(response, options_.address, path);
  return reply;
}

void RemoteVerbalizer::Run(std::span<const float> activations, const VerbalizeOptions& options, const Skip& skip,
                           const std::function<void(Verbalization)>& done) const {
  const int64_t d = inputs_.d_model();
  NLA_CHECK(static_cast<int64_t>(activations.size()) % d == 0 && options.samples > 0);
  CheckRows(activations, d);
  const int64_t count = static_cast<int64_t>(activations.size()) / d * options.samples;
  SamplingOptions sampling = options.sampling;
  sampling.stop_ids.insert(sampling.stop_ids.end(), stop_ids_.begin(), stop_ids_.end());
  std::atomic<int64_t> next = 0;
  std::mutex mutex;
  std::exception_ptr failure;  // under mutex
  const auto answer = [&](HttpClient& client, int64_t i) {
    const int64_t row = i / options.samples;
    const int64_t sample = i % options.samples;
    if (skip && skip(row, sample)) return;
    const std::vector<float> rows = inputs_.PromptRows(activations.subspan(static_cast<size_t>(row * d), d));
    RemoteReply reply = Ask(client, {.rows = rows,
                                     .width = d,
                                     .sampling = sampling,
                                     .seed = ReplySeed(options.seed, options.first_row + row, sample)});
    const std::lock_guard lock(mutex);
    Verbalization one = FromReply(std::move(reply), inputs_.tokenizer());
    one.index = row;
    one.sample = sample;
    done(std::move(one));
  };
  const auto work = [&] {
    try {
      HttpClient client(options_.http);
      for (int64_t i = next++; i < count; i = next++) answer(client, i);
    } catch (...) {
      next = count;  // nobody begins another
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> threads;
    const int64_t wanted = std::min(options_.concurrency, count);
    threads.reserve(static_cast<size_t>(wanted));
    for (int64_t i = 0; i < wanted; ++i) threads.emplace_back(work);
  }
  if (failure) std::rethrow_exception(failure);
}

std::vector<Verbalization> RemoteVerbalizer::Run(std::span<const float> activations,
                                                 const VerbalizeOptions& options) const {
  std::vector<Verbalization> all(activations.size() / static_cast<size_t>(inputs_.d_model()) *
                                 static_cast<size_t>(options.samples));
  Run(activations, options, nullptr, [&](Verbalization one) {
    const int64_t place = one.index * options.samples + one.sample;
    all[static_cast<size_t>(place)] = std::move(one);
  });
  return all;
}

}  // namespace nla
