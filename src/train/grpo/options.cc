// The field list of train_rl.
#include "train/grpo/options.h"

#include <fmt/format.h>

#include "base/fail.h"
#include "train/options.h"

namespace nla {
namespace {

void AtLeast(const char* name, int64_t least, int64_t found) {
  if (found < least) {
    FailUsage({.where = name, .found = fmt::format("{}", found), .wanted = fmt::format("{} or more", least)});
  }
}

void Append(FieldList& fields, FieldList more) {
  for (Field& field : more) fields.push_back(std::move(field));
}

FieldList RewardFields(RewardOptions& o) {
  return {{"reward.kind", &o.kind, "mse (-mse) or log_mse (-log mse)"},
          {"reward.length_limit", &o.length_limit, "tokens above it cost reward.length_penalty each; 0 = no guard"},
          {"reward.length_penalty", &o.length_penalty, "reward lost for each of them"},
          {"reward.repetition_penalty", &o.repetition_penalty,
           "reward lost times the share of token trigrams that the reply had before; 0 = no guard"}};
}

void CheckReward(const RewardOptions& o) {
  CheckField("reward.kind", o.kind == "mse" || o.kind == "log_mse", o.kind, "mse or log_mse");
  AtLeast("reward.length_limit", 0, o.length_limit);
  CheckField("reward.length_penalty", o.length_penalty >= 0, o.length_penalty, "0 or more");
  CheckField("reward.repetition_penalty", o.repetition_penalty >= 0, o.repetition_penalty, "0 or more");
}

}  // namespace

FieldList Fields(RlOptions& o) {
  FieldList fields = {
      {"pair", &o.pair, "pair directory to start from: adapters are trained on, whole sides in full"},
      {"base_model", &o.base_model, "its base model, where pair.yaml does not lead to it"},
      {"dataset", &o.dataset, "Parquet of stage rl (or av_sft), shuffled, with its sidecar"},
      {"heldout", &o.heldout, "activations to evaluate on; labels in it serve the preflight"},
      {"heldout_fraction", &o.heldout_fraction, "without heldout: share of the documents kept out of training"},
      {"out", &o.out, "run directory"},
      {"steps", &o.steps, "steps"},
      {"prompts", &o.prompts, "activations a step"},
      {"samples", &o.samples, "replies to each: the group that advantages are taken in"},
      {"learn_from", &o.learn_from,
       "of these, the replies that the verbalizer learns from: those whose rewards lie furthest apart; 0 = all"},
      {"epochs", &o.epochs, "updates of both sides on the replies of a step"},
      {"ar_updates", &o.ar_updates,
       "updates of the reconstructor in each of these, on the replies to an equal part of the prompts"},
      {"temperature", &o.temperature, "of the replies"},
      {"max_new_tokens", &o.max_new_tokens, "longest reply; one that reaches it has failed"},
      {"slots", &o.slots, "replies written at the same time"},
      {"rollout.servers", &o.rollout.servers,
       "URLs of nla serve, SGLang or vLLM that write the replies; none: this process"},
      {"rollout.concurrency", &o.rollout.concurrency, "requests in flight at each server"},
      {"rollout.weights", &o.rollout.weights, "folder for the servers' weights, read by them; empty: in out"},
      {"rollout.agreement", &o.rollout.agreement,
       "most nats a token between servers' log-probabilities and ours, in the preflight; 0 = as dtype has it"},
  };
  Append(fields, RewardFields(o.reward));
  Append(fields, Fields(o.objective));
  Append(fields, InSection(Fields(o.av), "av"));
  Append(fields, InSection(Fields(o.ar), "ar"));
  Append(fields,
         {{"micro_rows", &o.micro_rows, "most packed token rows of one forward and backward pass"},
          {"seed", &o.seed, "seed of the replies and of the held-out documents"},
          {"dtype", &o.dtype, "number type of the heavy arithmetic: auto, fp32 or bf16"},
          {"store_dtype", &o.store_dtype, "number type of the written weights: bf16 or fp32"},
          {"preflight", &o.preflight, "check rollout, injection and reward before the first step"},
          {"eval_every", &o.eval_every, "steps between held-out evaluations; 0 = only at the start and the end"},
          {"eval_rows", &o.eval_rows, "held-out rows evaluated, the same each time"},
          {"save_every", &o.save_every, "steps between checkpoints; 0 = only at the end"},
          {"rollouts_every", &o.rollouts_every, "steps between lines of rollouts.jsonl; 0 = none"},
          {"train_seconds_limit", &o.train_seconds_limit, "stop with a final save after this many seconds; 0 = none"}});
  Append(fields, InSection(Fields(o.stop), "stop"));
  return fields;
}

void CheckOptions(const RlOptions& o) {
  CheckField("pair", !o.pair.empty(), o.pair, "a pair directory");
  CheckField("dataset", !o.dataset.empty(), o.dataset, "a Parquet file");
  CheckField("out", !o.out.empty(), o.out, "a directory for the run");
  CheckField("heldout_fraction", o.heldout_fraction >= 0 && o.heldout_fraction < 1, o.heldout_fraction,
             "a number in [0, 1)");
  AtLeast("steps", 1, o.steps);
  AtLeast("prompts", 1, o.prompts);
  AtLeast("samples", 2, o.samples);
  CheckField("learn_from", o.learn_from == 0 || (o.learn_from >= 2 && o.learn_from <= o.samples), o.learn_from,
             "0, or from 2 to samples");
  AtLeast("epochs", 1, o.epochs);
  CheckField("ar_updates", o.ar_updates >= 1 && o.prompts % o.ar_updates == 0, o.ar_updates, "a divisor of prompts");
  CheckField("temperature", o.temperature > 0, o.temperature, "a number above 0");
  AtLeast("max_new_tokens", 1, o.max_new_tokens);
  AtLeast("slots", 1, o.slots);
  AtLeast("rollout.concurrency", 1, o.rollout.concurrency);
  CheckField("rollout.agreement", o.rollout.agreement >= 0, o.rollout.agreement, "0 or more");
  CheckReward(o.reward);
  CheckOptions(o.objective);
  CheckOptions(o.av);
  CheckOptions(o.ar);
  AtLeast("micro_rows", 1, o.micro_rows);
  AtLeast("seed", 0, o.seed);
  CheckField("store_dtype", o.store_dtype == "bf16" || o.store_dtype == "fp32", o.store_dtype, "bf16 or fp32");
  AtLeast("eval_every", 0, o.eval_every);
  AtLeast("eval_rows", 2, o.eval_rows);
  AtLeast("save_every", 0, o.save_every);
  AtLeast("rollouts_every", 0, o.rollouts_every);
  CheckField("train_seconds_limit", o.train_seconds_limit >= 0, o.train_seconds_limit, "0 or more");
  CheckOptions(o.stop);
}

}  // namespace nla
