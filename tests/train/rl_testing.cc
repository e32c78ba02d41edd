// The tiny pair and its rows.
#include "train/rl_testing.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "base/file.h"
#include "base/random.h"
#include "data/activation_table.h"
#include "data/dataset_sidecar.h"
#include "model/tensor_io.h"
#include "nla/prompt.h"

namespace nla {
namespace {

constexpr int64_t kLetters = 4;
constexpr int64_t kLetterColumn = 30;  // of the embedding, free in av_known
constexpr int64_t kVectorEntry = 10;   // as KnownExplanation reads it

void FillNormal(const at::Tensor& tensor, uint64_t seed, float deviation) {
  CounterRandom random(seed, 0);
  float* values = tensor.mutable_data_ptr<float>();
  for (int64_t i = 0; i < tensor.numel(); ++i) values[i] = random.Normal() * deviation;
}

RowSchema SchemaFor(const std::string& stage, bool labelled) {
  if (stage == "rl") return RowSchema::kRl;
  return labelled ? RowSchema::kExplained : RowSchema::kBase;
}

}  // namespace

TinyRl::TinyRl() {
  WriteKnownBase();
  WriteKnownSide("known_av", Role::kActor);
  WriteKnownSide("known_ar", Role::kCritic);
  AssemblePair({pair_ / "known_av", pair_ / "known_ar", pair_ / "known", {}}, pair_ / "pair", false);
  AssemblePair({pair_ / "av_known", pair_ / "ar_whole", {}, {}}, pair_ / "pair_whole", false);
  WriteRows("rl.parquet", "rl", 64, "");
  WriteRows("heldout.parquet", "base", 16, "");
}

void TinyRl::WriteKnownBase() const {
  const fs::path from = pair_ / "av_known";
  const fs::path to = pair_ / "known";
  fs::copy(from, to);
  fs::remove(to / "nla_meta.yaml");
  const Tokenizer tokenizer = Tokenizer::Load(from);
  Decoder decoder = Decoder::Load(Checkpoint::Open(from), {});
  std::vector<NamedTensor> weights = decoder.Weights();
  for (const NamedTensor& named : weights) {
    if (named.name != "model.embed_tokens.weight") continue;
    float* values = named.tensor.mutable_data_ptr<float>();
    for (int64_t i = 0; i < kLetters; ++i) {
      const int64_t id = tokenizer.Find(std::string(1, static_cast<char>('a' + i))).value();
      values[id * kTinyWidth + kLetterColumn + i] = 1;
    }
  }
  WriteTensors(to / "model.safetensors", weights, at::kFloat);
}

void TinyRl::WriteKnownSide(const std::string& name, Role role) const {
  const fs::path directory = pair_ / name;
  fs::create_directories(directory);
  DecoderOptions options{.with_head = role == Role::kActor};
  if (role == Role::kCritic) options.blocks = kTinyLayer + 1;
  Decoder decoder = Decoder::Load(Checkpoint::Open(pair_ / "known"), options);
  decoder.AddAdapters({.rank = 4, .alpha = 8}, 5);
  uint64_t seed = role == Role::kActor ? 300 : 400;
  for (const NamedTensor& named : decoder.AdapterWeights()) {
    const bool is_b = named.name.find("lora_B") != std::string::npos;
    if (is_b) FillNormal(named.tensor, ++seed, role == Role::kActor ? 0.002F : 0.2F);
  }
  WriteAdapters(directory, decoder.lora(), "tiny", decoder.AdapterWeights(), at::kFloat);
  if (role == Role::kCritic) {
    const at::Tensor head = at::empty({kTinyWidth, kTinyWidth}, at::kFloat);
    FillNormal(head, 500, 0.3F);
    WriteTensors(directory / "value_head.safetensors", {{"weight", head}}, at::kFloat);
  }
  ModelSidecar sidecar = ReadModelSidecar(pair_ / (role == Role::kActor ? "av" : "ar"));
  sidecar.base_weights_hash = Checkpoint::Open(pair_ / "known").WeightsHash();
  sidecar.weights_hash = TrainedWeightsHash(directory);
  WriteModelSidecar(directory, sidecar);
}

void TinyRl::WriteRows(const std::string& name, const std::string& stage, int64_t rows,
                       const std::string& label) const {
  const ModelSidecar actor = ReadModelSidecar(pair_ / "known_av");
  CounterRandom random(stage == "rl" ? 11 : 12, 0);
  std::vector<ActivationRow> made(static_cast<size_t>(rows));
  for (int64_t i = 0; i < rows; ++i) {
    ActivationRow& row = made[static_cast<size_t>(i)];
    row.n_raw_tokens = 50 + i % 4;
    row.activation_layer = kTinyLayer;
    row.doc_id = fmt::format("{}:train:{}", stage, i / 4);
    for (int64_t d = 0; d < kTinyWidth; ++d) row.activation.push_back(random.Normal());
    row.activation[static_cast<size_t>(kVectorEntry + static_cast<int64_t>(random.Below(kLetters)))] += 5;
    row.text = fmt::format("text {}", i);
    row.explanation = label;
    if (stage == "rl") row.prompt_messages = {{"user", FillActorTemplate(actor.actor_template, kInjectPlaceholder)}};
  }
  ActivationWriter writer(pair_ / name, SchemaFor(stage, !label.empty()), kTinyWidth);
  writer.Append(made);
  writer.Finish();
  DatasetSidecar sidecar;
  sidecar.dataset_id = "made_up__" + stage;
  sidecar.stage = stage;
  sidecar.row_count = rows;
  sidecar.base_model = "tiny";
  sidecar.d_model = kTinyWidth;
  sidecar.layer_index = kTinyLayer;
  sidecar.corpus = "made-up";
  if (stage == "rl") {
    sidecar.tokens = actor.tokens;
    sidecar.actor_template = actor.actor_template;
    sidecar.critic_template = actor.critic_template;
  }
  WriteDatasetSidecar(pair_ / name, sidecar);
}

RlOptions TinyRl::Options(const std::string& out) const {
  RlOptions options;
  options.pair = (pair_ / "pair").string();
  options.dataset = (pair_ / "rl.parquet").string();
  options.heldout = (pair_ / "heldout.parquet").string();
  options.out = (pair_ / out).string();
  options.steps = 10;
  options.prompts = 4;
  options.samples = 4;
  options.temperature = 8;
  options.max_new_tokens = 12;
  options.slots = 8;
  options.av.lr = 1e-3;
  options.ar.lr = 1e-2;
  options.micro_rows = 256;
  options.dtype = "fp32";
  options.store_dtype = "fp32";
  options.eval_every = 2;
  options.eval_rows = 12;
  options.save_every = 2;
  options.rollouts_every = 5;
  return options;
}

std::string TinyRl::Recipe(const std::string& out) const {
  RlOptions options = Options(out);
  std::string section = "train_rl:\n";
  const std::string fields = DumpYaml(Fields(options));
  for (size_t begin = 0; begin < fields.size();) {
    const size_t end = std::min(fields.find('\n', begin), fields.size());
    section += "  " + fields.substr(begin, end - begin) + "\n";
    begin = end + 1;
  }
  return section;
}

std::vector<nlohmann::json> ReadRlLines(const fs::path& path) {
  std::vector<nlohmann::json> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    lines.push_back(nlohmann::json::parse(line));
    for (const char* field : {"seconds", "rollout_seconds", "score_seconds", "train_seconds", "sync_seconds",
                              "samples_per_second", "tokens_per_second"}) {
      lines.back().erase(field);
    }
  }
  return lines;
}

std::vector<double> FieldOf(const std::vector<nlohmann::json>& lines, const std::string& kind,
                            const std::string& field) {
  std::vector<double> values;
  for (const nlohmann::json& line : lines) {
    if (line.at("kind") == kind && line.contains(field)) values.push_back(line.at(field).get<double>());
  }
  return values;
}

}  // namespace nla
