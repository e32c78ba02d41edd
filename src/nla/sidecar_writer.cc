// Writes nla_meta.yaml of a checkpoint, so that every reader of YAML finds the same types. Reading is sidecar.cc's.
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <chrono>
#include <cmath>
#include <cstdlib>

#include "base/fail.h"
#include "base/file.h"
#include "nla/sidecar.h"

namespace nla {
namespace {

std::string NumberText(double number) {
  std::string text = fmt::format("{}", number);
  if (text.find('.') != text.npos) return text;
  const size_t exponent = text.find('e');
  return exponent == text.npos ? text + ".0" : text.insert(exponent, ".0");
}

// Decimal numbers only, so that they stay numbers for every reader.
bool IsNumber(const std::string& text) {
  if (text.empty() || text.find_first_not_of("0123456789.-+e") != text.npos) return false;
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  return *end == '\0' && std::isfinite(number);
}

void Put(YAML::Emitter& out, const char* key, const std::string& text) {
  out << YAML::Key << key << YAML::Value << YAML::DoubleQuoted << text;
}

void PutScale(YAML::Emitter& out, const char* key, const Scale& scale, int64_t d_model) {
  // The resolved number, as the reference writes it: readers exist that know no other spelling.
  const auto number = scale.Resolve(d_model);
  out << YAML::Key << key << YAML::Value;
  if (number) {
    out << NumberText(*number);
  } else {
    out << YAML::Null;
  }
}

void PutPairs(YAML::Emitter& out, const std::vector<std::pair<std::string, std::string>>& pairs) {
  for (const auto& [key, value] : pairs) {
    out << YAML::Key << YAML::DoubleQuoted << key << YAML::Value;
    if (IsNumber(value)) {
      out << value;
    } else {
      out << YAML::DoubleQuoted << value;
    }
  }
}

void PutList(YAML::Emitter& out, const char* key, const std::vector<std::string>& items) {
  out << YAML::Key << key << YAML::Value << YAML::BeginSeq;
  for (const std::string& item : items) out << YAML::DoubleQuoted << item;
  out << YAML::EndSeq;
}

void PutTokens(YAML::Emitter& out, const TokenFacts& tokens) {
  out << YAML::Key << "tokens" << YAML::Value << YAML::BeginMap;
  Put(out, "injection_char", tokens.injection_char);
  out << YAML::Key << "injection_token_id" << YAML::Value << tokens.injection_token_id;
  out << YAML::Key << "injection_left_neighbor_id" << YAML::Value << tokens.injection_left_neighbor_id;
  out << YAML::Key << "injection_right_neighbor_id" << YAML::Value << tokens.injection_right_neighbor_id;
  out << YAML::Key << "critic_suffix_ids" << YAML::Value;
  if (tokens.critic_suffix_ids.empty()) {
    out << YAML::Null;
  } else {
    out << YAML::Flow << tokens.critic_suffix_ids;
  }
  out << YAML::EndMap;
}

std::string Emit(const ModelSidecar& s) {
  YAML::Emitter out;
  out << YAML::BeginMap;
  out << YAML::Key << "kind" << YAML::Value << "nla_model";
  out << YAML::Key << "schema_version" << YAML::Value << 2;
  out << YAML::Key << "role" << YAML::Value << (s.role == Role::kActor ? "actor" : "critic");
  Put(out, "stage", s.stage);
  Put(out, "base_checkpoint", s.base_checkpoint);
  out << YAML::Key << "d_model" << YAML::Value << s.d_model;
  out << YAML::Key << "extraction" << YAML::Value << YAML::BeginMap;
  PutScale(out, "injection_scale", s.role == Role::kActor ? s.injection_scale : Scale{.kind = Scale::Kind::kNone},
           s.d_model);
  PutScale(out, "mse_scale", s.mse_scale, s.d_model);
  out << YAML::EndMap;
  if (s.tokens) PutTokens(out, *s.tokens);
  out << YAML::Key << "prompt_templates" << YAML::Value << YAML::BeginMap;
  if (!s.actor_template.empty()) Put(out, "actor", s.actor_template);
  if (!s.critic_template.empty()) Put(out, "critic", s.critic_template);
  out << YAML::EndMap;
  if (s.layer) {
    out << YAML::Key << "critic" << YAML::Value << YAML::BeginMap << YAML::Key << "extraction_layer_index"
        << YAML::Value << *s.layer << YAML::EndMap;
  }
  PutList(out, "trained_on", s.trained_on);
  PutList(out, "parent_checkpoints", s.parent_checkpoints);
  const auto now = std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
  Put(out, "created_at",
      s.created_at.empty() ? fmt::format("{:%Y-%m-%dT%H:%M:%S+00:00}", fmt::gmtime(now)) : s.created_at);
  Put(out, "created_by", s.created_by);
  if (!s.training.empty()) {
    out << YAML::Key << "training" << YAML::Value << YAML::BeginMap;
    PutPairs(out, s.training);
    out << YAML::EndMap;
  }
  out << YAML::Key << "nla_cpp" << YAML::Value << YAML::BeginMap;
  out << YAML::Key << "injection_rule" << YAML::Value << (s.injection_rule == InjectionRule::kAdd ? "add" : "replace");
  if (!s.base_weights_hash.empty()) Put(out, "base_weights_hash", s.base_weights_hash);
  if (!s.weights_hash.empty()) Put(out, "weights_hash", s.weights_hash);
  if (!s.tokenizer_hash.empty()) Put(out, "tokenizer_hash", s.tokenizer_hash);
  PutPairs(out, s.extra);
  out << YAML::EndMap << YAML::EndMap;
  NLA_CHECK(out.good());
  return std::string(out.c_str()) + "\n";
}

}  // namespace

void WriteModelSidecar(const fs::path& directory, const ModelSidecar& sidecar) {
  NLA_CHECK(sidecar.d_model > 0);
  WriteFileAtomically(directory / "nla_meta.yaml", Emit(sidecar));
}

}  // namespace nla
