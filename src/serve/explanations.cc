// Verbalizing jobs.
#include "serve/explanations.h"

#include <cmath>
#include <numeric>

#include "base/fail.h"
#include "engine/reply_seed.h"
#include "nla/metrics.h"
#include "nla/prompt.h"
#include "serve/generate_answer.h"
#include "serve/generate_request.h"
#include "serve/replies.h"

namespace nla::serve {
namespace {

// One request's explanations, from the parsed body to the last byte.
class Explanations {
 public:
  Explanations(Context& context, VerbalizeJob job, std::optional<TextAndPositions> where, RequestState& state)
      : context_(context),
        job_(std::move(job)),
        where_(std::move(where)),
        seed_(job_.sampling.sampling_seed ? static_cast<uint64_t>(*job_.sampling.sampling_seed) : context.NextSeed()),
        rid_(FreshRid()),
        replies_({*context.models.Verbalizer().engine, context.metrics, context.active, state.replies}, Plan()) {
    state.rid = rid_;
    state.model = context.models.Verbalizer().id;
  }

  bool stream() const { return job_.stream; }
  Replies& replies() { return replies_; }

  int64_t ReplyTokens() const {
    int64_t tokens = 0;
    for (size_t i = 0; i < replies_.size(); ++i) tokens += static_cast<int64_t>(replies_[i].ids.size());
    return tokens;
  }

  // What is known of reply i. With a text it is scored once it has ended.
  OrderedJson Row(size_t i) const {
    const Reply& reply = replies_[i];
    const size_t row = i / Samples();
    const std::optional<std::string> explanation = ExtractExplanation(reply.text);
    OrderedJson json = where_ ? TokenJson(context_.models.Base(), *where_, row) : OrderedJson{{"index", row}};
    json["sample"] = i % Samples();
    json["explanation"] = explanation ? OrderedJson(*explanation) : nullptr;
    json["raw"] = reply.text;
    json["ok"] = explanation.has_value();
    json["finish_reason"] = FinishJson(reply);
    json["completion_tokens"] = reply.ids.size();
    json["logprob"] = std::accumulate(reply.logprobs.begin(), reply.logprobs.end(), 0.0);
    json["norm"] = Norm(Activation(row));
    return json;
  }

  // Adds the scores of ended replies to their rows.
  void AddScores(const std::vector<size_t>& which, std::vector<OrderedJson>& rows) const {
    std::vector<std::string> texts;
    texts.reserve(which.size());
    for (const size_t i : which) texts.push_back(ExtractExplanation(replies_[i].text).value_or(""));
    if (texts.empty()) return;
    const std::vector<float> vectors = context_.models.Reconstruct(texts);
    const size_t d = vectors.size() / texts.size();
    for (size_t k = 0; k < which.size(); ++k) {
      const OrderedJson scores = Scores(context_.models, {vectors.data() + k * d, d}, Activation(which[k] / Samples()));
      for (const auto& [name, value] : scores.items()) rows[k][name] = value;
    }
  }

  bool scored() const { return where_.has_value(); }

  OrderedJson Whole() const {
    std::vector<size_t> all(replies_.size());
    std::iota(all.begin(), all.end(), 0);
    std::vector<OrderedJson> rows;
    rows.reserve(all.size());
    for (const size_t i : all) rows.push_back(Row(i));
    if (scored()) AddScores(all, rows);
    return {{scored() ? "tokens" : "rows", std::move(rows)}, {"provenance", FullProvenance()}};
  }

  OrderedJson FullProvenance() const {
    OrderedJson provenance = Provenance(context_.models);
    provenance["seed"] = seed_;
    provenance["sampler"] = Describe(job_.sampling);
    return provenance;
  }

 private:
  size_t Samples() const { return static_cast<size_t>(job_.sampling.n); }
  std::span<const float> Activation(size_t row) const {
    const int64_t d = static_cast<int64_t>(job_.rows.values.size()) / job_.rows.rows;
    return job_.rows.Row(static_cast<int64_t>(row), d);
  }
  ReplyPlan Plan() const {
    constexpr size_t kAhead = 128;  // more than an engine usually runs
    const int64_t count = job_.rows.rows * job_.sampling.n;
    if (count > kMostReplies) {
      FailUsage({.where = "body",
                 .what = "asks for too many explanations",
                 .found = std::to_string(count),
                 .wanted = "at most " + std::to_string(kMostReplies) + " in one request"});
    }
    return {.count = static_cast<size_t>(count),
            .make = [this](size_t i) { return Request(i); },
            .rids = {rid_},
            .ahead = kAhead};
  }
  EngineRequest Request(size_t i) const {
    const Prompt prompt{context_.models.ActorPrompt(Activation(i / Samples())), {}};
    return MakeRequest(job_.sampling, context_.models.Verbalizer(), prompt,
                       ReplySeed(seed_, static_cast<int64_t>(i / Samples()), static_cast<int64_t>(i % Samples())));
  }

  Context& context_;
  VerbalizeJob job_;
  std::optional<TextAndPositions> where_;
  uint64_t seed_;
  std::string rid_;
  Replies replies_;
};

HttpResponse Run(const std::shared_ptr<Explanations>& work, Call& call) {
  RequestState& state = call.state;
  if (!work->stream()) {
    work->replies().AwaitAll(call.client);
    state.reply_tokens = work->ReplyTokens();
    return JsonAnswer(work->Whole());
  }
  return EventStream([work, &state](BodyWriter& writer) {
    Replies& replies = work->replies();
    for (;;) {
      const std::vector<size_t> changed = replies.Next(writer);
      state.reply_tokens = work->ReplyTokens();
      if (changed.empty()) break;
      std::vector<size_t> ended;
      std::vector<OrderedJson> rows;
      for (const size_t i : changed) {
        if (!replies[i].finish) {
          SendEvent(writer, work->Row(i));
          continue;
        }
        ended.push_back(i);
        rows.push_back(work->Row(i));
      }
      if (work->scored()) work->AddScores(ended, rows);
      for (const OrderedJson& row : rows) SendEvent(writer, row);
    }
    SendEvent(writer, {{"provenance", work->FullProvenance()}});
  });
}

}  // namespace

HttpResponse RunVerbalize(Context& context, Call& call, VerbalizeJob job) {
  return Run(std::make_shared<Explanations>(context, std::move(job), std::nullopt, call.state), call);
}

HttpResponse RunExplain(Context& context, Call& call, TextAndPositions where, VerbalizeJob job) {
  return Run(std::make_shared<Explanations>(context, std::move(job), std::move(where), call.state), call);
}

OrderedJson Provenance(const Models& models) {
  const auto known = [](const std::string& hash) { return hash.empty() ? OrderedJson(nullptr) : OrderedJson(hash); };
  const ModelSidecar& actor = models.ActorSidecar();
  const ServedModel& verbalizer = models.Verbalizer();
  const std::string base = models.pair() != nullptr ? models.pair()->manifest.base_name : actor.base_checkpoint;
  return {{"model", base},
          {"base_weights_hash", known(actor.base_weights_hash)},
          {"layer", models.layer() < 0 ? OrderedJson(nullptr) : OrderedJson(models.layer())},
          {"av",
           {{"model", verbalizer.id},
            {"weights_hash", known(verbalizer.Hash())},
            {"quant", verbalizer.quant},
            {"weight_version", verbalizer.Version()}}},
          {"ar", models.pair() != nullptr ? OrderedJson{{"weights_hash", known(models.critic_hash())}}
                                          : OrderedJson(nullptr)},
          {"prompt_hash", models.actor_prompt_hash()}};
}

OrderedJson Scores(const Models& models, std::span<const float> predicted, std::span<const float> gold) {
  const double mse = DirectionMse(predicted, gold);
  OrderedJson scores{{"cosine", Cosine(predicted, gold)}, {"mse", mse}};
  const PairLocation* pair = models.pair();
  if (pair != nullptr && pair->manifest.baselines) {
    scores["fve_raw_variance"] = 1 - mse / pair->manifest.baselines->raw_variance;
    scores["fve_mean_norm"] = 1 - mse / pair->manifest.baselines->mean_norm;
  }
  return scores;
}

OrderedJson TokenJson(const ServedModel& base, const TextAndPositions& where, size_t i) {
  const int64_t position = where.positions[i];
  const TokenId id = where.ids[position];
  return {
      {"position", position}, {"id", id}, {"token", base.tokenizer->Decode(std::span(&id, 1), /*skip_special=*/false)}};
}

double Norm(std::span<const float> vector) {
  double sum = 0;
  for (const float x : vector) sum += static_cast<double>(x) * x;
  return std::sqrt(sum);
}

}  // namespace nla::serve
