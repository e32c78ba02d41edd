// Reads and writes the sidecar of a dataset in the reference's layout (formats.md section 3). Written texts are always
// quoted, so that no YAML reader takes "no" for a boolean or "1e5" for a number.
#include "data/dataset_sidecar.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "base/fail.h"
#include "base/file.h"

namespace nla {
namespace {

constexpr int kSchemaVersion = 1;
constexpr std::array<std::string_view, 4> kStages = {"base", "av_sft", "ar_sft", "rl"};

// A mapping of the sidecar, with the file and the path of keys that lead to it for errors.
struct Section {
  YAML::Node node;
  std::string file;
  std::string prefix;

  [[noreturn]] void Bad(const std::string& key, const std::string& found, const std::string& wanted) const {
    Fail({.where = file + ": " + prefix + key, .what = "unusable value", .found = found, .wanted = wanted});
  }

  bool Has(const std::string& key) const { return node[key].IsDefined() && !node[key].IsNull(); }

  YAML::Node Get(const std::string& key) const {
    if (!Has(key)) Fail({.where = file, .what = fmt::format("the field {}{} is missing", prefix, key)});
    return node[key];
  }

  template <typename T>
  T As(const std::string& key, const std::string& wanted) const {
    const YAML::Node value = Get(key);
    try {
      return value.as<T>();
    } catch (const YAML::Exception&) {
      Bad(key, value.IsScalar() ? value.Scalar() : "a list or mapping", wanted);
    }
  }

  std::string Text(const std::string& key) const { return As<std::string>(key, "a text"); }
  std::string TextOr(const std::string& key, const std::string& fallback) const {
    return Has(key) ? Text(key) : fallback;
  }

  int64_t Integer(const std::string& key, int64_t least) const {
    const auto value = As<int64_t>(key, "an integer");
    if (value < least) Bad(key, std::to_string(value), fmt::format("at least {}", least));
    return value;
  }

  Section Sub(const std::string& key) const {
    const YAML::Node value = Get(key);
    if (!value.IsMap()) Bad(key, "no mapping", "a mapping");
    return {value, file, prefix + key + "."};
  }
};

TokenFacts ReadTokens(const Section& section) {
  const auto id = [&](const char* key) {
    const int64_t value = section.Integer(key, 0);
    if (value > INT32_MAX) section.Bad(key, std::to_string(value), "a token id");
    return static_cast<TokenId>(value);
  };
  TokenFacts tokens;
  tokens.injection_char = section.Text("injection_char");
  tokens.injection_token_id = id("injection_token_id");
  tokens.injection_left_neighbor_id = id("injection_left_neighbor_id");
  tokens.injection_right_neighbor_id = id("injection_right_neighbor_id");
  if (section.Has("critic_suffix_ids")) {
    tokens.critic_suffix_ids = section.As<std::vector<TokenId>>("critic_suffix_ids", "a list of token ids");
  }
  return tokens;
}

void ReadExtraction(const Section& section, DatasetSidecar& sidecar) {
  sidecar.base_model = section.Text("base_model");
  sidecar.d_model = section.Integer("d_model", 1);
  sidecar.layer_index = section.Integer("layer_index", 0);
  sidecar.norm = section.Text("norm");
  sidecar.corpus = section.Text("corpus");
  const Section slice = section.Sub("corpus_slice");
  sidecar.corpus_start = slice.Integer("start", 0);
  sidecar.corpus_length = slice.Integer("length", 0);
  sidecar.positions_per_doc = section.Integer("positions_per_doc", 0);
}

// What a stage must carry, on reading and on writing alike.
void CheckComplete(const DatasetSidecar& sidecar, const std::string& file) {
  const auto missing = [&](const std::string& field) {
    Fail({.where = file,
          .what = fmt::format("the field {} is missing", field),
          .wanted = fmt::format("it in every dataset of stage {}", sidecar.stage)});
  };
  if (std::find(kStages.begin(), kStages.end(), sidecar.stage) == kStages.end()) {
    Fail({.where = file + ": stage",
          .what = "unknown stage",
          .found = sidecar.stage,
          .wanted = fmt::format("{}", fmt::join(kStages, ", "))});
  }
  if (sidecar.stage == "base") return;
  if (!sidecar.tokens) missing("tokens");
  if (sidecar.actor_template.empty()) missing("prompt_templates.actor");
  if (sidecar.stage != "ar_sft") return;
  if (sidecar.tokens->critic_suffix_ids.empty()) missing("tokens.critic_suffix_ids");
  if (sidecar.critic_template.empty()) missing("prompt_templates.critic");
}

DatasetSidecar Parse(const Section& root) {
  if (const std::string kind = root.Text("kind"); kind != "nla_dataset") root.Bad("kind", kind, "nla_dataset");
  if (const int64_t version = root.Integer("schema_version", 0); version != kSchemaVersion) {
    root.Bad("schema_version", std::to_string(version), std::to_string(kSchemaVersion));
  }
  DatasetSidecar sidecar;
  sidecar.dataset_id = root.Text("dataset_id");
  sidecar.stage = root.Text("stage");
  sidecar.row_count = root.Integer("row_count", 0);
  ReadExtraction(root.Sub("extraction"), sidecar);
  if (root.Has("keep_debug_metadata"))
    sidecar.keep_debug_metadata = root.As<bool>("keep_debug_metadata", "true or false");
  if (root.Has("tokens")) sidecar.tokens = ReadTokens(root.Sub("tokens"));
  if (root.Has("prompt_templates")) {
    const Section templates = root.Sub("prompt_templates");
    sidecar.actor_template = templates.TextOr("actor", "");
    sidecar.critic_template = templates.TextOr("critic", "");
  }
  if (root.Has("api_summaries")) {
    const Section api = root.Sub("api_summaries");
    sidecar.api_summaries = ApiSummaries{.model = api.Text("model"),
                                         .max_tokens = api.As<int64_t>("max_tokens", "an integer"),
                                         .temperature = api.As<double>("temperature", "a number"),
                                         .instruction_prompt = api.Text("instruction_prompt")};
  }
  if (root.Has("parent_datasets")) {
    sidecar.parent_datasets = root.As<std::vector<std::string>>("parent_datasets", "a list of dataset ids");
  }
  sidecar.created_at = root.TextOr("created_at", "");
  sidecar.created_by = root.TextOr("created_by", "");
  sidecar.git_commit = root.TextOr("git_commit", "");
  if (root.Has("nla_cpp")) {
    const Section extra = root.Sub("nla_cpp");
    for (const auto& entry : extra.node) {
      const auto key = entry.first.as<std::string>();
      sidecar.extra.emplace_back(key, extra.Text(key));
    }
  }
  return sidecar;
}

// A float that every YAML 1.1 reader takes for one: PyYAML wants a point before the exponent.
std::string FloatText(double value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".n") == std::string::npos) {
    const size_t exponent = text.find('e');
    text.insert(exponent == std::string::npos ? text.size() : exponent, ".0");
  }
  return text;
}

class Emitter {
 public:
  template <typename T>
  void Put(const std::string& key, const T& value) {
    out_ << YAML::Key << key << YAML::Value << value;
  }
  void Text(const std::string& key, const std::string& value) {
    out_ << YAML::Key << key << YAML::Value << YAML::DoubleQuoted << value;
  }
  void Begin(const std::string& key = "") {
    if (!key.empty()) out_ << YAML::Key << key << YAML::Value;
    out_ << YAML::BeginMap;
  }
  void End() { out_ << YAML::EndMap; }
  YAML::Emitter& out() { return out_; }

 private:
  YAML::Emitter out_;
};

void EmitTokens(Emitter& yaml, const TokenFacts& tokens) {
  yaml.Begin("tokens");
  yaml.Text("injection_char", tokens.injection_char);
  yaml.Put("injection_token_id", tokens.injection_token_id);
  yaml.Put("injection_left_neighbor_id", tokens.injection_left_neighbor_id);
  yaml.Put("injection_right_neighbor_id", tokens.injection_right_neighbor_id);
  if (tokens.critic_suffix_ids.empty()) {
    yaml.Put("critic_suffix_ids", YAML::Null);
  } else {
    yaml.out() << YAML::Key << "critic_suffix_ids" << YAML::Value << YAML::Flow << tokens.critic_suffix_ids;
  }
  yaml.End();
}

void EmitExtraction(Emitter& yaml, const DatasetSidecar& sidecar) {
  yaml.Begin("extraction");
  yaml.Text("base_model", sidecar.base_model);
  yaml.Put("d_model", sidecar.d_model);
  yaml.Put("layer_index", sidecar.layer_index);
  yaml.Text("norm", sidecar.norm);
  yaml.Text("corpus", sidecar.corpus);
  yaml.Begin("corpus_slice");
  yaml.Put("start", sidecar.corpus_start);
  yaml.Put("length", sidecar.corpus_length);
  yaml.End();
  yaml.Put("positions_per_doc", sidecar.positions_per_doc);
  yaml.End();
}

void EmitTemplates(Emitter& yaml, const DatasetSidecar& sidecar) {
  yaml.out() << YAML::Key << "prompt_templates" << YAML::Value;
  if (sidecar.actor_template.empty() && sidecar.critic_template.empty()) yaml.out() << YAML::Flow;
  yaml.Begin();
  if (!sidecar.actor_template.empty()) yaml.Text("actor", sidecar.actor_template);
  if (!sidecar.critic_template.empty()) yaml.Text("critic", sidecar.critic_template);
  yaml.End();
}

std::string Emit(const DatasetSidecar& sidecar) {
  Emitter yaml;
  yaml.Begin();
  yaml.Text("dataset_id", sidecar.dataset_id);
  yaml.Text("stage", sidecar.stage);
  yaml.Put("row_count", sidecar.row_count);
  EmitExtraction(yaml, sidecar);
  yaml.Put("kind", "nla_dataset");
  yaml.Put("schema_version", kSchemaVersion);
  yaml.Put("keep_debug_metadata", sidecar.keep_debug_metadata);
  if (sidecar.tokens) EmitTokens(yaml, *sidecar.tokens);
  EmitTemplates(yaml, sidecar);
  if (sidecar.api_summaries) {
    yaml.Begin("api_summaries");
    yaml.Text("model", sidecar.api_summaries->model);
    yaml.Put("max_tokens", sidecar.api_summaries->max_tokens);
    yaml.Put("temperature", FloatText(sidecar.api_summaries->temperature));
    yaml.Text("instruction_prompt", sidecar.api_summaries->instruction_prompt);
    yaml.End();
  }
  yaml.out() << YAML::Key << "parent_datasets" << YAML::Value;
  if (sidecar.parent_datasets.empty()) yaml.out() << YAML::Flow;
  yaml.out() << YAML::BeginSeq;
  for (const std::string& parent : sidecar.parent_datasets) yaml.out() << YAML::DoubleQuoted << parent;
  yaml.out() << YAML::EndSeq;
  yaml.Text("created_at", sidecar.created_at);
  yaml.Text("created_by", sidecar.created_by);
  yaml.Text("git_commit", sidecar.git_commit);
  if (!sidecar.extra.empty()) {
    yaml.Begin("nla_cpp");
    for (const auto& [key, value] : sidecar.extra) yaml.Text(key, value);
    yaml.End();
  }
  yaml.End();
  NLA_CHECK(yaml.out().good());
  return std::string(yaml.out().c_str()) + "\n";
}

}  // namespace

std::filesystem::path SidecarPath(const std::filesystem::path& parquet) {
  std::filesystem::path path = parquet;
  path += ".nla_meta.yaml";
  return path;
}

DatasetSidecar ReadDatasetSidecar(const std::filesystem::path& parquet) {
  const std::filesystem::path path = SidecarPath(parquet);
  if (!std::filesystem::exists(path)) {
    Fail({.where = path.string(),
          .what = "the dataset's sidecar does not exist",
          .mend = "Keep the sidecar beside its Parquet file, or make the dataset with this program"});
  }
  Section root{.node = {}, .file = path.string(), .prefix = ""};
  try {
    root.node = YAML::Load(ReadFile(path, uint64_t{1} << 26));
  } catch (const YAML::Exception& e) {
    Fail({.where = path.string(), .what = fmt::format("not YAML: {}", e.what())});
  }
  if (!root.node.IsMap()) Fail({.where = path.string(), .what = "not a sidecar", .wanted = "a YAML mapping"});
  DatasetSidecar sidecar = Parse(root);
  CheckComplete(sidecar, path.string());
  return sidecar;
}

void WriteDatasetSidecar(const std::filesystem::path& parquet, const DatasetSidecar& sidecar) {
  const std::filesystem::path path = SidecarPath(parquet);
  CheckComplete(sidecar, path.string());
  DatasetSidecar filled = sidecar;
  if (filled.created_at.empty()) {
    const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    filled.created_at = fmt::format("{:%Y-%m-%dT%H:%M:%S}+00:00", fmt::gmtime(now));
  }
  WriteFileAtomically(path, Emit(filled));
}

void SetExtra(DatasetSidecar& sidecar, const std::string& key, const std::string& value) {
  const auto found =
      std::find_if(sidecar.extra.begin(), sidecar.extra.end(), [&](const auto& e) { return e.first == key; });
  if (found != sidecar.extra.end()) {
    found->second = value;
  } else {
    sidecar.extra.emplace_back(key, value);
  }
}

std::string FindExtra(const DatasetSidecar& sidecar, const std::string& key) {
  const auto found =
      std::find_if(sidecar.extra.begin(), sidecar.extra.end(), [&](const auto& e) { return e.first == key; });
  return found == sidecar.extra.end() ? std::string() : found->second;
}

}  // namespace nla
