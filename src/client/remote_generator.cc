// Threads take requests one after another; each has a connection of its own.
#include "client/remote_generator.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "base/fail.h"
#include "base/log.h"
#include "client/server_weights.h"

namespace nla {

RemoteGenerator::RemoteGenerator(const RemoteOptions& options, RemotePrompts prompts)
    : options_(options), prompts_(std::move(prompts)) {
  HttpClient client(options_.http);
  facts_ = AskServer(client, options_.address, options_.kind);
  CheckServer();
  ChooseTransport();
  spdlog::info("{}: {} {}, embeddings as {}", options_.address.url, Name(facts_.kind), facts_.model,
               facts_.kind == ServerKind::kVllm ? "prompt_embeds" : FieldName(transport_));
}

void RemoteGenerator::CheckServer() const {
  const std::string& url = options_.address.url;
  if (facts_.d_model && *facts_.d_model != prompts_.d_model) {
    Fail({.where = url,
          .what = fmt::format("its model, {}, is of another width than the verbalizer", facts_.model),
          .found = fmt::format("d_model {}", *facts_.d_model),
          .wanted = std::to_string(prompts_.d_model),
          .mend = "Start the server on " + options_.address.mending.verbalizer});
  }
  if (facts_.caches_by_ids) {
    const Complaint complaint{
        .where = url,
        .what =
            "SGLang keeps its cache of beginnings, which cannot tell embeddings apart: replies of other vectors "
            "would be given out",
        .found = "disable_radix_cache false",
        .mend = options_.address.mending.cached};
    if (!options_.force) Fail(complaint);
    spdlog::warn("{}", Describe(complaint));
  }
}

void RemoteGenerator::ChooseTransport() {
  const bool vllm = facts_.kind == ServerKind::kVllm;
  const std::optional<double>& scale = prompts_.largest_norm;
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

RemoteReply RemoteGenerator::Ask(HttpClient& client, const RemoteRequest& request,
                                 const std::string& weight_version) const {
  const bool vllm = facts_.kind == ServerKind::kVllm;
  const std::string path = vllm ? "/v1/completions" : "/generate";
  const std::string url = options_.address.At(path);
  RemoteReply reply;
  HttpRequest post{.url = url, .headers = options_.address.Headers()};
  // A vLLM knows weights by the name of the model that is asked for.
  post.body = vllm ? CompletionBody(request, weight_version.empty() ? facts_.model : weight_version)
                   : GenerateBody(request, transport_);
  post.refuses = [&](const std::string& body) {
    reply =
        vllm ? ReadCompletionAnswer(body, prompts_.stop_ids, url) : ReadGenerateAnswer(body, prompts_.stop_ids, url);
    if (reply.unusable.empty() && !weight_version.empty() && !reply.weight_version.empty() &&
        reply.weight_version != weight_version) {
      reply.unusable = fmt::format("is of the weights {}, not {}", reply.weight_version, weight_version);
    }
    return reply.unusable.empty() ? "" : "the reply " + reply.unusable;
  };
  const HttpResponse response = client.Run(post);
  if (vllm && response.status == 404 && !weight_version.empty()) {
    Fail({.where = url,
          .what = fmt::format("the server has no adapters {} any more", weight_version),
          .found = MessageOf(response.body),
          .mend = "Was it started anew, or did somebody unload them? The run loads them again when it goes on"});
  }
  if (response.status != 200 || !response.error.empty()) FailServer(response, options_.address, path);
  return reply;
}

void RemoteGenerator::Run(int64_t count, const MakePrompt& prompt, const Take& take,
                          const std::string& weight_version) const {
  std::atomic<int64_t> next = 0;
  std::mutex mutex;
  std::exception_ptr failure;  // under mutex
  const auto answer = [&](HttpClient& client, int64_t i) {
    const std::optional<Prompt> wanted = prompt(i);
    if (!wanted) return;
    RemoteReply reply = Ask(
        client, {.rows = wanted->rows, .width = prompts_.d_model, .sampling = wanted->sampling, .seed = wanted->seed},
        weight_version);
    const std::lock_guard lock(mutex);
    take(i, std::move(reply));
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
    threads.reserve(static_cast<size_t>(std::max<int64_t>(0, wanted)));
    for (int64_t i = 0; i < wanted; ++i) threads.emplace_back(work);
  }
  if (failure) std::rethrow_exception(failure);
}

void RemoteGenerator::LoadWeights(const std::string& directory, const std::string& weight_version) const {
  HttpClient client(options_.http);
  const bool vllm = facts_.kind == ServerKind::kVllm;
  (vllm ? LoadServedAdapter : UpdateServedWeights)(client, options_.address, {directory, weight_version});
}

}  // namespace nla
