// Weights go to the servers through a folder that is replaced as a whole at every step.
#include "train/grpo/server_rollout.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <limits>
#include <thread>

#include "base/fail.h"
#include "base/file.h"
#include "base/log.h"
#include "nla/export.h"
#include "train/output.h"
#include "train/run_directory.h"

namespace nla {
namespace {

constexpr const char* kSide = "av";
constexpr const char* kMerged = "av_merged";

RemoteOptions RemoteOptionsFor(const std::string& url, const ServerOptions& options) {
  RemoteOptions remote{.address = {.url = url, .api_key = {}}, .concurrency = options.concurrency};
  remote.address.mending = {.verbalizer = "the verbalizer of the pair that the field pair names",
                            .cached = "Start it with --disable-radix-cache",
                            .key = "Set NLA_API_KEY",
                            .kind = "A server of rollout.servers must answer /server_info or /v1/models"};
  if (const char* key = std::getenv("NLA_API_KEY"); key != nullptr) remote.address.api_key = key;
  return remote;
}

Sample FromReply(const PairModel& model, RemoteReply reply) {
  Sample sample{.ids = std::move(reply.ids),
                .logprobs = {reply.logprobs.begin(), reply.logprobs.end()},
                .stopped = reply.stop_token.has_value(),
                .text = {}};
  if (reply.stop_token) {
    sample.ids.push_back(reply.stop_token->first);
    sample.logprobs.push_back(static_cast<float>(reply.stop_token->second));
  }
  DecodeText(model, sample);
  return sample;
}

}  // namespace

ServerRollout::ServerRollout(const PairModel& model, const RlOptions& options, const Optimizer& actor,
                             std::shared_ptr<Communicator> ranks)
    : model_(model),
      options_(options.rollout),
      actor_(actor),
      ranks_(std::move(ranks)),
      stop_ids_(model.actor.chat.StopIds(model.actor.tokenizer)) {
  weights_ =
      fs::absolute(options_.weights.empty() ? fs::path(options.out) / kRolloutWeightsName : fs::path(options_.weights));
  for (const std::string& url : options_.servers) {
    servers_.push_back(std::make_unique<RemoteGenerator>(
        RemoteOptionsFor(url, options_),
        RemotePrompts{.d_model = model.d_model(),
                      .largest_norm = model.actor.sidecar.injection_scale.Resolve(model.d_model()),
                      .stop_ids = stop_ids_}));
  }
  CheckVllm(options);
  // A vLLM tells the beginnings of prompts that it keeps by their adapter's name: one used before, of other weights,
  // would bring those back.
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const double milliseconds = static_cast<double>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
  const fs::path out = fs::absolute(options.out).lexically_normal();
  run_ = fmt::format("{}-{:x}", (out.has_filename() ? out : out.parent_path()).filename().string(),
                     static_cast<uint64_t>(ranks_->Agree(milliseconds)));
}

bool ServerRollout::HasVllm() const {
  return std::any_of(servers_.begin(), servers_.end(),
                     [](const auto& server) { return server->server().kind == ServerKind::kVllm; });
}

void ServerRollout::CheckVllm(const RlOptions& options) const {
  if (!HasVllm()) return;
  if (!HasAdapters(model_.location.actor)) {
    Fail({.where = "rollout.servers",
          .what = "a vLLM can be given new adapters while it runs, but no whole weights, and the pair's verbalizer has "
                  "whole ones",
          .found = model_.location.actor.string(),
          .wanted = "a verbalizer that is adapters over its base model",
          .mend = "Train adapters (`nla train av` with lora.rank above 0), or take an SGLang or `nla serve`"});
  }
  if (std::abs(options.temperature - 1) < 1e-6) return;
  // Its log-probabilities are those before the temperature unless it is told otherwise; the preflight sees which.
  if (!options.preflight) {
    FailUsage({.where = "preflight",
               .what = "is what finds out whether a vLLM's log-probabilities are those after the temperature",
               .found = fmt::format("false, with temperature {}", options.temperature),
               .wanted = "true, or temperature 1"});
  }
  spdlog::warn(
      "temperature {}: a vLLM must be started with --logprobs-mode processed_logprobs, or its "
      "log-probabilities are those of temperature 1",
      options.temperature);
}

std::optional<double> ServerRollout::Agreement() const {
  return options_.agreement > 0 ? std::optional(options_.agreement) : std::nullopt;
}

std::vector<Sample> ServerRollout::Run(std::span<const float> activations, const RolloutOptions& options) {
  const int64_t d = model_.d_model();
  NLA_CHECK(options.samples > 0 && static_cast<int64_t>(activations.size()) % d == 0 && !version_.empty());
  std::vector<Sample> samples(static_cast<size_t>(static_cast<int64_t>(activations.size()) / d * options.samples));
  const auto count = static_cast<int64_t>(samples.size());
  const auto among = static_cast<int64_t>(servers_.size());
  const SamplingOptions sampling = SamplingFor(options, stop_ids_);
  const auto ask = [&](int64_t server) {
    const int64_t own = (count - server + among - 1) / among;  // samples server, server + among, …
    const auto prompt = [&](int64_t i) -> std::optional<RemoteGenerator::Prompt> {
      const int64_t index = server + i * among;
      const at::Tensor rows_TD = PromptRows(
          model_, activations.subspan(static_cast<size_t>(index / options.samples * d), static_cast<size_t>(d)));
      const float* rows = rows_TD.const_data_ptr<float>();
      // Servers keep seeds as signed numbers.
      const uint64_t seed = (options.seed + static_cast<uint64_t>(index)) & std::numeric_limits<int64_t>::max();
      return RemoteGenerator::Prompt{{rows, rows + rows_TD.numel()}, sampling, seed};
    };
    servers_[static_cast<size_t>(server)]->Run(
        own, prompt,
        [&](int64_t i, RemoteReply reply) {
          samples[static_cast<size_t>(server + i * among)] = FromReply(model_, std::move(reply));
        },
        version_);
  };
  std::vector<std::exception_ptr> failures(servers_.size());
  {
    std::vector<std::jthread> threads;
    threads.reserve(servers_.size());
    for (int64_t server = 0; server < among; ++server) {
      threads.emplace_back([&, server] {
        try {
          ask(server);
        } catch (...) {
          failures[static_cast<size_t>(server)] = std::current_exception();
        }
      });
    }
  }
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  return samples;
}

// Whole weights, or the adapters alone: what a pair of this kind on disk has.
void ServerRollout::WriteSide() const {
  const fs::path& began_with = model_.location.actor;
  AtomicDirectory directory(weights_ / kSide, true);
  WriteTrainedModel(directory.temporary_path(),
                    {.decoder = model_.actor.decoder,
                     .optimizer = actor_,
                     .base_model = model_.actor.sidecar.base_checkpoint,
                     .text_side = HasAdapters(began_with) ? fs::path() : began_with,
                     .store = model_.actor.decoder.compute()},
                    model_.actor.sidecar);
  directory.Commit();
}

void ServerRollout::Merge() const {
  const at::ScalarType store = model_.actor.decoder.compute();
  ExportRole({.directory = weights_ / kSide,
              .base = model_.location.base,
              .compute = store,
              .base_hash = model_.location.manifest.base_weights_hash},
             weights_ / kMerged, {.store = store == at::kBFloat16 ? DType::kBF16 : DType::kF32, .replace = true});
}

void ServerRollout::WeightsChanged(int64_t step) {
  version_ = HasVllm() ? fmt::format("{}-step-{}", run_, step) : fmt::format("step-{}", step);
  if (ranks_->writes()) {
    fs::create_directories(weights_);
    WriteSide();
    // `nla serve` and vLLM run adapters as they are; SGLang takes whole checkpoints.
    const auto wants_merged = [](const auto& server) { return server->server().kind == ServerKind::kSglang; };
    const bool adapters = HasAdapters(model_.location.actor);
    if (adapters && std::any_of(servers_.begin(), servers_.end(), wants_merged)) Merge();
    for (const auto& server : servers_) {
      const char* const name = adapters && wants_merged(server) ? kMerged : kSide;
      server->LoadWeights((weights_ / name).string(), version_);
    }
  }
  double together = 0;  // nobody asks before all servers have the weights
  ranks_->Sum({&together, 1});
}

std::unique_ptr<Rollout> MakeRollout(PairModel& model, const RlOptions& options, const Optimizer& actor,
                                     const std::shared_ptr<Communicator>& ranks) {
  if (options.rollout.servers.empty()) return std::make_unique<EngineRollout>(model, options.slots);
  return std::make_unique<ServerRollout>(model, options, actor, ranks);
}

}  // namespace nla
