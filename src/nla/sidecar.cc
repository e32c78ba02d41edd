// Reads nla_meta.yaml of a checkpoint; sidecar_writer.cc writes it. Checking its facts against a live tokenizer is
// prompt.cc's; against a model, the loaders'.
#include "nla/sidecar.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "base/fail.h"
#include "base/file.h"

namespace nla {
namespace {

constexpr uint64_t kLargestSidecar = uint64_t{16} << 20;

std::string Show(const YAML::Node& node) {
  if (!node.IsDefined()) return "";
  if (node.IsNull()) return "null";
  if (node.IsScalar()) return fmt::format("\"{}\"", node.Scalar());
  return node.IsMap() ? "a mapping" : "a list";
}

// A mapping of the file with its place in it, so that every complaint names file and field.
class Section {
 public:
  Section(const YAML::Node& node, std::string file, std::string path)
      : node_(node), file_(std::move(file)), path_(std::move(path)) {}

  [[noreturn]] void Refuse(const std::string& key, const std::string& what, const std::string& wanted,
                           const std::string& mend = "") const {
    Fail({.where = fmt::format("{}: {}{}", file_, path_, key),
          .what = what,
          .found = Show(At(key)),
          .wanted = wanted,
          .mend = mend});
  }

  // Undefined when this is not there.
  YAML::Node At(const std::string& key) const {
    const YAML::Node& node = node_;
    return node.IsMap() ? node[key] : YAML::Node(YAML::NodeType::Undefined);
  }
  bool Has(const std::string& key) const {
    const YAML::Node node = At(key);
    return node.IsDefined() && !node.IsNull();
  }

  // An absent or null section reads as an empty one.
  Section Sub(const std::string& key) const {
    if (Has(key) && !At(key).IsMap()) Refuse(key, "is not a section", "a mapping");
    return {Has(key) ? At(key) : YAML::Node(YAML::NodeType::Map), file_, fmt::format("{}{}.", path_, key)};
  }
  Section Required(const std::string& key) const {
    if (!Has(key)) Refuse(key, "section is missing", "a mapping");
    return Sub(key);
  }

  std::string Text(const std::string& key) const {
    if (!Has(key)) return "";
    if (!At(key).IsScalar()) Refuse(key, "is not a text", "a text");
    return At(key).Scalar();
  }
  std::string RequiredText(const std::string& key) const {
    std::string text = Text(key);
    if (text.empty()) Refuse(key, "is missing", "a text");
    return text;
  }
  int64_t Integer(const std::string& key, int64_t low, int64_t high) const {
    int64_t value = 0;
    const YAML::Node node = At(key);
    if (!node.IsDefined() || !node.IsScalar() || !YAML::convert<int64_t>::decode(node, value) || value < low ||
        value > high) {
      Refuse(key, Has(key) ? "is not a sound number" : "is missing", fmt::format("a whole number of {} or more", low));
    }
    return value;
  }
  TokenId Token(const std::string& key) const {
    return static_cast<TokenId>(Integer(key, 0, std::numeric_limits<TokenId>::max()));
  }
  template <typename T>
  std::vector<T> List(const std::string& key, const char* wanted) const {
    std::vector<T> items;
    if (!Has(key)) return items;
    if (!At(key).IsSequence()) Refuse(key, "is not a list", wanted);
    for (const YAML::Node& node : At(key)) {
      T item;
      if (!node.IsScalar() || !YAML::convert<T>::decode(node, item)) Refuse(key, "has an unreadable entry", wanted);
      items.push_back(std::move(item));
    }
    return items;
  }

  // Absent gives `absent`; null, "raw" and "none" mean no normalisation.
  Scale ReadScale(const std::string& key, Scale::Kind absent) const {
    const YAML::Node node = At(key);
    if (!node.IsDefined()) return {.kind = absent};
    if (node.IsNull()) return {.kind = Scale::Kind::kNone};
    const std::string wanted = "a number above 0, null, or sqrt_d_model";
    if (!node.IsScalar()) Refuse(key, "is not a scale", wanted);
    const std::string& text = node.Scalar();
    if (text == "sqrt_d_model") return {.kind = Scale::Kind::kSqrtDModel};
    if (text == "raw" || text == "none") return {.kind = Scale::Kind::kNone};
    char* end = nullptr;
    const double number = std::strtod(text.c_str(), &end);
    if (text.empty() || *end != '\0' || !std::isfinite(number) || number <= 0) Refuse(key, "is not a scale", wanted);
    return {.kind = Scale::Kind::kNumber, .number = number};
  }

  const YAML::Node& node() const { return node_; }

 private:
  YAML::Node node_;
  std::string file_;
  std::string path_;  // "" or "tokens."
};

Section Load(const fs::path& file) {
  if (!fs::exists(file)) {
    Fail({.where = file.string(),
          .what = "the sidecar is missing, so this directory is not an NLA checkpoint",
          .mend = "Ask whoever made the checkpoint for its nla_meta.yaml, or point at the directory that holds it"});
  }
  try {
    YAML::Node root = YAML::Load(ReadFile(file, kLargestSidecar));
    if (!root.IsMap()) Fail({.where = file.string(), .what = "is not a YAML mapping", .wanted = "kind: nla_model …"});
    return {root, file.string(), ""};
  } catch (const YAML::Exception& error) {
    Fail({.where = file.string(), .what = fmt::format("is not YAML ({})", error.what())});
  }
}

Role ReadRole(const Section& root) {
  const std::string role = root.RequiredText("role");
  if (role == "actor" || role == "av") return Role::kActor;
  if (role == "critic" || role == "ar") return Role::kCritic;
  root.Refuse("role", "is unknown", "actor, av, critic or ar");
}

TokenFacts ReadTokens(const Section& tokens) {
  TokenFacts facts;
  facts.injection_char = tokens.RequiredText("injection_char");
  facts.injection_token_id = tokens.Token("injection_token_id");
  facts.injection_left_neighbor_id = tokens.Token("injection_left_neighbor_id");
  facts.injection_right_neighbor_id = tokens.Token("injection_right_neighbor_id");
  facts.critic_suffix_ids = tokens.List<TokenId>("critic_suffix_ids", "a list of token ids, or null");
  return facts;
}

// prompt_templates has two namings; the older one's key comes second.
std::string ReadTemplate(const Section& templates, const char* key, const char* other_key, const char* placeholder) {
  const char* used = templates.Text(key).empty() ? other_key : key;
  std::string text = templates.Text(used);
  if (!text.empty() && text.find(placeholder) == text.npos) {
    templates.Refuse(used, "has no place for its content", fmt::format("a text with {}", placeholder));
  }
  return text;
}

// K: extraction_layer_index (version 2) or num_hidden_layers (version 1, where it means K all the same), under
// `critic:` or `ar:`; published checkpoints also have extraction_layer_index outside of any section.
std::optional<int64_t> ReadLayer(const Section& root) {
  std::optional<int64_t> layer;
  const auto read = [&](const Section& section, const char* key) {
    if (!section.Has(key)) return;
    const int64_t value = section.Integer(key, 0, 100000);
    if (layer && *layer != value) {
      section.Refuse(key, "is another layer than the file names elsewhere", std::to_string(*layer));
    }
    layer = value;
  };
  for (const char* name : {"critic", "ar"}) {
    const Section section = root.Sub(name);
    const bool second = section.Has("extraction_layer_index");
    read(section, second ? "extraction_layer_index" : "num_hidden_layers");
  }
  read(root, "extraction_layer_index");
  return layer;
}

// "a.b" -> text; lists become their YAML flow form.
void Flatten(const YAML::Node& node, const std::string& path, std::vector<std::pair<std::string, std::string>>& out) {
  if (node.IsMap()) {
    for (const auto& item : node) {
      const std::string key = item.first.IsScalar() ? item.first.Scalar() : YAML::Dump(item.first);
      Flatten(item.second, path.empty() ? key : fmt::format("{}.{}", path, key), out);
    }
    return;
  }
  if (node.IsSequence()) {
    YAML::Emitter emitter;
    emitter << YAML::Flow << node;
    out.emplace_back(path, emitter.c_str());
    return;
  }
  out.emplace_back(path, node.IsScalar() ? node.Scalar() : "null");
}

void ReadOurs(const Section& ours, ModelSidecar& sidecar) {
  std::vector<std::pair<std::string, std::string>> flat;
  Flatten(ours.node(), "", flat);
  for (auto& [key, value] : flat) {
    if (key == "injection_rule") {
      if (value != "replace" && value != "add") ours.Refuse(key, "is unknown", "replace or add");
      sidecar.injection_rule = value == "add" ? InjectionRule::kAdd : InjectionRule::kReplace;
    } else if (key == "base_weights_hash") {
      sidecar.base_weights_hash = value;
    } else if (key == "weights_hash") {
      sidecar.weights_hash = value;
    } else if (key == "tokenizer_hash") {
      sidecar.tokenizer_hash = value;
    } else {
      sidecar.extra.emplace_back(key, std::move(value));
    }
  }
}

void CheckKind(const Section& root) {
  const std::string kind = root.RequiredText("kind");
  if (kind != "nla_model") {
    root.Refuse("kind", "is not a checkpoint's", "nla_model",
                kind == "nla_dataset" ? "This is the sidecar of a dataset; point at a checkpoint directory" : "");
  }
}

// What a verbalizer cannot run without.
void CheckActor(const Section& root, const ModelSidecar& sidecar) {
  const Section extraction = root.Sub("extraction");
  if (!extraction.At("injection_scale").IsDefined()) {
    extraction.Refuse("injection_scale", "is missing", "the norm that the verbalizer was trained with, or null for raw",
                      "No default would be right: ask whoever trained it");
  }
  if (!sidecar.tokens) root.Refuse("tokens", "section is missing", "a mapping");
  if (sidecar.actor_template.empty()) root.Sub("prompt_templates").Refuse("actor", "is missing", "a text");
}

// yaml.safe_load of other tools takes "1e-05" for a text: a number there must have a point.

}  // namespace

std::optional<double> Scale::Resolve(int64_t d_model) const {
  switch (kind) {
    case Kind::kNumber:
      return number;
    case Kind::kNone:
      return std::nullopt;
    case Kind::kSqrtDModel:
      return std::sqrt(static_cast<double>(d_model));
  }
  NLA_CHECK(false);
  return std::nullopt;
}

ModelSidecar ReadModelSidecar(const fs::path& directory) {
  const Section root = Load(directory / "nla_meta.yaml");
  CheckKind(root);
  ModelSidecar sidecar;
  sidecar.schema_version = static_cast<int>(root.Integer("schema_version", 1, 1000));
  if (sidecar.schema_version > 2) {
    root.Refuse("schema_version", "is newer than this program", "1 or 2", "Update nla");
  }
  sidecar.role = ReadRole(root);
  sidecar.stage = root.Text("stage");
  sidecar.base_checkpoint = root.Text("base_checkpoint");
  sidecar.d_model = root.Integer("d_model", 1, int64_t{1} << 24);
  const Section extraction = root.Sub("extraction");
  sidecar.injection_scale = extraction.ReadScale("injection_scale", Scale::Kind::kNone);
  sidecar.mse_scale = extraction.ReadScale("mse_scale", Scale::Kind::kSqrtDModel);
  if (root.Has("tokens")) sidecar.tokens = ReadTokens(root.Sub("tokens"));
  const Section templates = root.Sub("prompt_templates");
  sidecar.actor_template = ReadTemplate(templates, "av", "actor", "{injection_char}");
  sidecar.critic_template = ReadTemplate(templates, "ar", "critic", "{explanation}");
  sidecar.layer = ReadLayer(root);
  if (sidecar.role == Role::kActor) CheckActor(root, sidecar);
  if (sidecar.role == Role::kCritic && sidecar.critic_template.empty()) {
    templates.Refuse("critic", "is missing", "a text with {explanation}");
  }
  sidecar.trained_on = root.List<std::string>("trained_on", "a list of texts");
  sidecar.parent_checkpoints = root.List<std::string>("parent_checkpoints", "a list of texts");
  sidecar.created_at = root.Text("created_at");
  sidecar.created_by = root.Text("created_by");
  if (root.Has("training")) Flatten(root.At("training"), "", sidecar.training);
  ReadOurs(root.Sub("nla_cpp"), sidecar);
  return sidecar;
}

}  // namespace nla
