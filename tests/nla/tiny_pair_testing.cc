// Tiny pairs, and a verbalizer made by hand.
#include "nla/tiny_pair_testing.h"

#include <ATen/ops/eye.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/fail.h"
#include "base/file.h"
#include "base/random.h"
#include "data/activation_table.h"
#include "data/dataset_sidecar.h"
#include "model/tensor_io.h"
#include "model/tiny_checkpoint.h"
#include "nla/prompt.h"
#include "nla/role_checkpoint.h"

namespace nla {
namespace {

constexpr const char* kActorTemplate = "<concept>{injection_char}</concept> ?";
constexpr const char* kCriticTemplate = "Text: <t>{explanation}</t> <s>";
constexpr const char* kTextFiles[] = {"tokenizer.json", "tokenizer_config.json"};

void FillNormal(at::Tensor tensor, uint64_t seed, float deviation) {
  CounterRandom random(seed, 0);
  float* values = tensor.mutable_data_ptr<float>();
  for (int64_t i = 0; i < tensor.numel(); ++i) values[i] = random.Normal() * deviation;
}

// The last two merges' ids become tokens for the explanation's tags.
void AddTagTokens(nlohmann::json& tokenizer) {
  nlohmann::json& model = tokenizer["model"];
  for (const char* tag : {"</explanation>", "<explanation>"}) {
    const auto merge = model["merges"].back().get<std::vector<std::string>>();
    const int64_t id = model["vocab"].at(merge[0] + merge[1]);
    model["vocab"].erase(merge[0] + merge[1]);
    model["merges"].erase(model["merges"].size() - 1);
    nlohmann::json token = tokenizer["added_tokens"][0];
    token["id"] = id;
    token["content"] = tag;
    token["special"] = false;
    tokenizer["added_tokens"].push_back(token);
  }
  // The tokenizers library counts added tokens up in the order of the file.
  std::swap(*(tokenizer["added_tokens"].end() - 1), *(tokenizer["added_tokens"].end() - 2));
}

ModelSidecar SidecarFor(const fs::path& base, Role role) {
  const Tokenizer tokenizer = Tokenizer::Load(base);
  ModelSidecar sidecar;
  sidecar.role = role;
  sidecar.stage = role == Role::kActor ? "av_sft" : "ar_sft";
  sidecar.base_checkpoint = "tiny";
  sidecar.d_model = kTinyWidth;
  sidecar.injection_scale = {.kind = Scale::Kind::kNumber, .number = kTinyInjectionScale};
  sidecar.tokens = ChooseMarker(tokenizer, ChatFormat::Load(base), kActorTemplate, kCriticTemplate);
  sidecar.actor_template = kActorTemplate;
  sidecar.critic_template = kCriticTemplate;
  sidecar.layer = kTinyLayer;
  sidecar.created_by = "test";
  sidecar.base_weights_hash = Checkpoint::Open(base).WeightsHash();
  sidecar.tokenizer_hash = tokenizer.hash();
  return sidecar;
}

void CopyConfig(const fs::path& base, const fs::path& to, int64_t blocks) {
  for (const char* name : kTextFiles) fs::copy_file(base / name, to / name);
  fs::copy_file(base / "config.json", to / "config.json");
  EditJson(to / "config.json", [&](nlohmann::json& config) { config["num_hidden_layers"] = blocks; });
}

// One side as adapters at `directory` and as whole weights at `directory`_whole.
void WriteSide(const fs::path& base, const fs::path& directory, Role role) {
  const fs::path whole = directory.string() + "_whole";
  fs::create_directories(directory);
  fs::create_directories(whole);
  DecoderOptions options{.with_head = role == Role::kActor};
  if (role == Role::kCritic) options.blocks = kTinyLayer + 1;
  Decoder decoder = Decoder::Load(Checkpoint::Open(base), options);
  const uint64_t seed = role == Role::kActor ? 100 : 200;
  decoder.AddAdapters({.rank = 4, .alpha = 8}, seed);
  uint64_t stream = seed;
  for (NamedTensor& weight : decoder.AdapterWeights()) FillNormal(weight.tensor, ++stream, 0.1F);
  WriteAdapters(directory, decoder.lora(), "tiny", decoder.AdapterWeights(), at::kFloat);
  decoder.MergeAdapters();
  WriteTensors(whole / "model.safetensors", decoder.Weights(), at::kFloat);
  CopyConfig(base, whole, decoder.blocks());
  const at::Tensor value_head = at::zeros({kTinyWidth, kTinyWidth});
  FillNormal(value_head, seed, 0.3F);
  for (const fs::path& place : {directory, whole}) {
    if (role == Role::kCritic) WriteTensors(place / "value_head.safetensors", {{"weight", value_head}}, at::kFloat);
    ModelSidecar sidecar = SidecarFor(base, role);
    sidecar.weights_hash = TrainedWeightsHash(place);
    WriteModelSidecar(place, sidecar);
  }
}

// A whole model in which every token's row holds what it may be followed by, and block 0 spreads the entries 10 … 13 of
// the injected row to all later rows (queries and keys are zero, so attention is the mean of what came before).
void WriteKnownActor(const fs::path& base, const fs::path& directory) {
  fs::create_directories(directory);
  const Checkpoint checkpoint = Checkpoint::Open(base);
  const Tokenizer tokenizer = Tokenizer::Load(base);
  CopyConfig(base, directory, checkpoint.config()["num_hidden_layers"]);
  EditJson(directory / "config.json", [](nlohmann::json& config) { config["tie_word_embeddings"] = false; });
  const ModelSpec spec = ParseModelSpec(nlohmann::json::parse(ReadFile(directory / "config.json")), "tiny");
  std::vector<NamedTensor> weights;
  for (const TensorFacts& facts : TensorsOf(spec, spec.n_blocks, true)) {
    weights.push_back({facts.name, facts.shape.size() == 1 ? at::ones(facts.shape) : at::zeros(facts.shape)});
  }
  const auto set = [&](const std::string& name, int64_t row, int64_t column, float value) {
    const auto weight = std::find_if(weights.begin(), weights.end(), [&](const auto& w) { return w.name == name; });
    NLA_CHECK(weight != weights.end());
    weight->tensor.mutable_data_ptr<float>()[row * weight->tensor.size(1) + column] = value;
  };
  const std::string embedding = "model.embed_tokens.weight";
  for (int64_t id = 0; id < spec.vocab_size; ++id) set(embedding, id, 0, 1);
  // Row and successors: the line break that ends the prompt, the open tag, a letter, the closing tag, the turn's end.
  const std::vector<std::vector<std::string>> chain = {
      {"Ċ"}, {"<explanation>"}, {"a", "b", "c", "d"}, {"</explanation>"}, {"<|im_end|>"}};
  for (size_t place = 0; place < chain.size(); ++place) {
    for (const std::string& spelling : chain[place]) {
      const int64_t id = tokenizer.Find(spelling).value();
      set(embedding, id, 0, 0);
      set(embedding, id, static_cast<int64_t>(place) + 1, 1);
      if (place > 0) set("lm_head.weight", id, static_cast<int64_t>(place), 20);
    }
  }
  for (int64_t i = 0; i < 4; ++i) {
    set("model.layers.0.self_attn.v_proj.weight", i, 10 + i, 1);
    set("model.layers.0.self_attn.o_proj.weight", 20 + i, i, 1);
    set("lm_head.weight", tokenizer.Find(chain[2][i]).value(), 20 + i, 20);
  }
  WriteTensors(directory / "model.safetensors", weights, at::kFloat);
  WriteModelSidecar(directory, SidecarFor(base, Role::kActor));
}

}  // namespace

TinyPair::TinyPair() {
  WriteTinyCheckpoint(scratch_ / "base");
  EditJson(scratch_ / "base" / "tokenizer.json", AddTagTokens);
  WriteSide(scratch_ / "base", scratch_ / "av", Role::kActor);
  WriteSide(scratch_ / "base", scratch_ / "ar", Role::kCritic);
  WriteKnownActor(scratch_ / "base", scratch_ / "av_known");
}

PairLocation TinyPair::Assemble(const std::string& name, const std::string& actor, const std::string& critic) const {
  PairParts parts{scratch_ / actor, scratch_ / critic, scratch_ / "base", {}};
  if (fs::exists(scratch_ / "heldout.parquet")) parts.heldout = scratch_ / "heldout.parquet";
  AssemblePair(parts, scratch_ / name, /*replace=*/false);
  return FindPair(scratch_ / name);
}

fs::path TinyPair::WriteHeldOut(int64_t rows, bool explained) const {
  const std::vector<float> vectors = RandomVectors(rows, 3);
  fs::path path = scratch_ / "heldout.parquet";
  ActivationWriter writer(path, explained ? RowSchema::kExplained : RowSchema::kBase, kTinyWidth);
  std::vector<ActivationRow> made(rows);
  for (int64_t i = 0; i < rows; ++i) {
    ActivationRow& row = made[i];
    row.n_raw_tokens = 50 + i;
    row.activation_layer = kTinyLayer;
    row.doc_id = fmt::format("made-up:train:{}", i);
    row.activation.assign(vectors.begin() + i * kTinyWidth, vectors.begin() + (i + 1) * kTinyWidth);
    row.text = fmt::format("text <b>number</b> {} & more", i);
    row.explanation = fmt::format("label {}", i % 3);
  }
  writer.Append(made);
  writer.Finish();
  DatasetSidecar sidecar;
  sidecar.dataset_id = "base_tiny_L1_00000000";
  sidecar.row_count = rows;
  sidecar.base_model = "tiny";
  sidecar.d_model = kTinyWidth;
  sidecar.layer_index = kTinyLayer;
  sidecar.corpus = "made-up";
  WriteDatasetSidecar(path, sidecar);
  return path;
}

std::string KnownExplanation(const float* vector) {
  return std::string(1, static_cast<char>('a' + (std::max_element(vector + 10, vector + 14) - (vector + 10))));
}

std::vector<float> RandomVectors(int64_t rows, uint64_t seed) {
  CounterRandom random(seed, 1);
  std::vector<float> vectors(rows * kTinyWidth);
  for (float& x : vectors) x = random.Normal();
  return vectors;
}

void EditJson(const fs::path& path, const std::function<void(nlohmann::json&)>& edit) {
  nlohmann::json document = nlohmann::json::parse(ReadFile(path));
  edit(document);
  WriteFileAtomically(path, document.dump());
}

void EditSidecar(const fs::path& directory, const std::function<void(ModelSidecar&)>& edit) {
  ModelSidecar sidecar = ReadModelSidecar(directory);
  edit(sidecar);
  WriteModelSidecar(directory, sidecar);
}

void EditText(const fs::path& path, const std::string& from, const std::string& to) {
  std::string text = ReadFile(path);
  const size_t place = text.find(from);
  NLA_CHECK(place != std::string::npos && text.find(from, place + 1) == std::string::npos);
  WriteFileAtomically(path, text.replace(place, from.size(), to));
}

}  // namespace nla
