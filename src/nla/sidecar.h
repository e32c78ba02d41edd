// nla_meta.yaml of a checkpoint (kind nla_model): reads versions 1 and 2 in both namings, writes version 2.
// Definitions: formats.md section 2.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/dataset_sidecar.h"

namespace nla {

enum class Role { kActor, kCritic };
enum class InjectionRule { kReplace, kAdd };

// A scale as sidecars write it: a number, null (no normalisation), or "sqrt_d_model". Absent means sqrt_d_model.
struct Scale {
  enum class Kind { kNumber, kNone, kSqrtDModel };
  Kind kind = Kind::kSqrtDModel;
  double number = 0;
  // The norm to scale to; nullopt for "leave as it is".
  std::optional<double> Resolve(int64_t d_model) const;
};

struct ModelSidecar {
  int schema_version = 2;
  Role role = Role::kActor;
  std::string stage;  // av_sft, ar_sft, rl, critic_init …
  std::string base_checkpoint;
  int64_t d_model = 0;
  Scale injection_scale;  // actor: mandatory number or null
  Scale mse_scale;
  std::optional<TokenFacts> tokens;
  std::string actor_template;    // prompt_templates.actor or .av
  std::string critic_template;   // prompt_templates.critic or .ar
  std::optional<int64_t> layer;  // K
  std::vector<std::string> trained_on;
  std::vector<std::string> parent_checkpoints;
  std::string created_at, created_by;
  std::vector<std::pair<std::string, std::string>> training;  // free form, flattened "a.b" -> text
  // Ours, under nla_cpp:.
  InjectionRule injection_rule = InjectionRule::kReplace;
  std::string base_weights_hash;  // of the whole base model
  std::string weights_hash;       // of the tensors in the directory itself: TrainedWeightsHash in role_checkpoint.h
  std::string tokenizer_hash;
  std::vector<std::pair<std::string, std::string>> extra;  // tool version, FVE with baselines …
};

ModelSidecar ReadModelSidecar(const std::filesystem::path& directory);
void WriteModelSidecar(const std::filesystem::path& directory, const ModelSidecar& sidecar);

}  // namespace nla
