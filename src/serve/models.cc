// Loading of what is served. Sides that are adapters lie over the base model's memory.
#include "serve/models.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <ctime>
#include <mutex>

#include "base/fail.h"
#include "base/hash.h"
#include "nla/injection.h"
#include "nla/role_checkpoint.h"
#include "serve/http_error.h"
#include "serve/weight_update.h"

namespace nla::serve {
namespace {

// "pair/av": the last two parts of a directory's path.
std::string ShortName(const std::filesystem::path& directory) {
  const std::filesystem::path whole = std::filesystem::weakly_canonical(directory);
  return (whole.parent_path().filename() / whole.filename()).string();
}

std::string HashOfIds(const std::vector<TokenId>& ids) {
  return Sha256Hex({reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(TokenId)});
}

}  // namespace

at::Tensor ServedModel::Embed(std::span<const TokenId> ids) const {
  const SmallTensorWork small;
  const std::shared_lock lock(weights);
  return decoder->Embed(ids);
}

std::string ServedModel::Version() const {
  const std::shared_lock lock(weights);
  return weight_version;
}

std::string ServedModel::Hash() const {
  const std::shared_lock lock(weights);
  return weights_hash;
}

std::filesystem::path ServedModel::Directory() const {
  const std::shared_lock lock(weights);
  return directory;
}

Models::Models(const ModelChoice& choice) : pair_(choice.pair) {
  if (pair_) {
    if (!pair_->base.empty()) LoadBase(pair_->base, pair_->manifest.base_name, {.compute = choice.compute});
    LoadActor(pair_->Actor(choice.compute), choice.packing);
    RoleSource critic = pair_->Critic(choice.compute);
    if (base_model_) critic.loaded_base = &base_model_->decoder;
    reconstructor_ = std::make_unique<Reconstructor>(Reconstructor::Load(critic));
    critic_hash_ = reconstructor_->sidecar().weights_hash;
    if (base_model_) {
      base_cut_ = base_model_->decoder.Share(
          {.compute = choice.compute, .blocks = pair_->manifest.layer + 1, .with_head = false});
    }
  } else if (choice.actor) {
    LoadActor(*choice.actor, choice.packing);
  } else {
    loaded_ = {{.compute = choice.compute, .packing = choice.packing}, choice.model, {}};
    LoadBase(choice.model, "", loaded_.options);
  }
  if (choice.packing == packed::Format::kInt8) main().quant = "q8";
  Start(choice.engine);
}

Models::~Models() = default;

void Models::LoadBase(const std::filesystem::path& directory, const std::string& name, const DecoderOptions& options) {
  base_model_ = std::make_unique<LanguageModel>(LanguageModel::Load(directory, options));
  base_ = std::make_unique<ServedModel>();
  base_->id = name.empty() ? std::filesystem::weakly_canonical(directory).filename().string() : name;
  base_->kind = "base";
  base_->directory = directory;
  base_->decoder = &base_model_->decoder;
  base_->tokenizer = &base_model_->tokenizer;
  base_->chat = &base_model_->chat;
}

void Models::LoadActor(const RoleSource& given, const std::optional<packed::Format>& packing) {
  RoleSource source = given;
  source.packing = packing;
  loaded_ = {{.compute = source.compute, .packing = packing}, source.directory, source.base};
  if (base_model_) source.loaded_base = &base_model_->decoder;
  actor_ = std::make_unique<RoleCheckpoint>(LoadRole(source, Role::kActor));
  if (!actor_->sidecar.tokens) {
    Fail({.where = (source.directory / "nla_meta.yaml").string() + ": tokens",
          .what = "is missing",
          .wanted = "the marker token's facts"});
  }
  prompt_ = BuildActorPrompt(actor_->tokenizer, actor_->chat, actor_->sidecar.actor_template, *actor_->sidecar.tokens);
  prompt_hash_ = HashOfIds(prompt_.ids);
  verbalizer_ = std::make_unique<ServedModel>();
  verbalizer_->id = ShortName(source.directory);
  verbalizer_->kind = "verbalizer";
  verbalizer_->directory = source.directory;
  verbalizer_->weights_hash = actor_->sidecar.weights_hash;
  verbalizer_->decoder = &actor_->decoder;
  verbalizer_->tokenizer = &actor_->tokenizer;
  verbalizer_->chat = &actor_->chat;
}

void Models::Start(const EngineOptions& options) {
  worker_ = std::make_unique<Worker>(at::get_num_threads());
  for (ServedModel* model : all()) {
    model->stop_ids = model->chat->StopIds(*model->tokenizer);
    model->started = std::time(nullptr);
    model->engine = std::make_unique<EngineThread>(*model->decoder, *model->tokenizer, options);
  }
}

std::vector<ServedModel*> Models::all() {
  std::vector<ServedModel*> models;
  if (verbalizer_) models.push_back(verbalizer_.get());
  if (base_) models.push_back(base_.get());
  return models;
}

// A sidecar beside new weights must tell the same of prompts and injection: both stay as they are. Gives its hash.
std::string Models::CheckNewActor(const std::filesystem::path& directory) const {
  if (!actor_ || !std::filesystem::exists(directory / "nla_meta.yaml")) return "";
  const ModelSidecar fresh = ReadModelSidecar(directory);
  const ModelSidecar& live = actor_->sidecar;
  const auto check = [&](const char* field, bool same) {
    if (same) return;
    Fail({.where = (directory / "nla_meta.yaml").string() + ": " + field,
          .what = "differs from the verbalizer's at work",
          .mend = "Start a server on the new directory instead"});
  };
  check("role", fresh.role == live.role);
  check("d_model", fresh.d_model == live.d_model);
  check("prompt_templates.actor", fresh.actor_template == live.actor_template);
  check("tokens.injection_token_id",
        !fresh.tokens || fresh.tokens->injection_token_id == live.tokens->injection_token_id);
  check("extraction.injection_scale",
        fresh.injection_scale.Resolve(live.d_model) == live.injection_scale.Resolve(live.d_model));
  check("nla_cpp.injection_rule", fresh.injection_rule == live.injection_rule);
  if (HasAdapters(directory) && !fresh.weights_hash.empty() && fresh.weights_hash != TrainedWeightsHash(directory)) {
    Fail({.where = directory.string(),
          .what = "the adapters are not those that were written with nla_meta.yaml",
          .mend = "A file is damaged or not written to its end"});
  }
  return fresh.weights_hash;
}

void Models::UpdateWeights(const std::filesystem::path& directory, const std::optional<std::string>& version) {
  const std::lock_guard one(update_);
  ServedModel& model = main();
  WeightUpdate update = model.decoder->plain() ? WeightUpdate::Open(*model.decoder, directory)
                                               : WeightUpdate::Load(*model.decoder, loaded_, directory);
  const std::string hash = CheckNewActor(directory);
  model.engine->WithWeights([&] {
    const std::unique_lock lock(model.weights);
    update.Install();
    model.directory = directory;
    model.weights_hash = hash;
    if (version) model.weight_version = *version;
  });
}

const ServedModel& Models::Verbalizer() const {
  if (verbalizer_) return *verbalizer_;
  throw HttpError(404, "this server has no verbalizer: it was started with --model. Start it with --pair or --av");
}

const ServedModel& Models::Base() const {
  if (base_) return *base_;
  throw HttpError(404,
                  "this server has no base model. Start it with --pair and, where the pair does not name it, --base");
}

const ModelSidecar& Models::ActorSidecar() const {
  Verbalizer();
  return actor_->sidecar;
}

int64_t Models::layer() const {
  if (pair_) return pair_->manifest.layer;
  return actor_ && actor_->sidecar.layer ? *actor_->sidecar.layer : -1;
}

std::vector<float> Models::Reconstruct(const std::vector<std::string>& explanations) {
  if (!reconstructor_) throw HttpError(404, "this server has no reconstructor. Start it with --pair");
  return worker_->Run([&] { return reconstructor_->Run(explanations); });
}

std::vector<float> Models::Activations(const std::vector<TokenId>& ids, const std::vector<int64_t>& positions) {
  if (!base_cut_) throw HttpError(404, "this server has no base model with a layer K. Start it with --pair and --base");
  return worker_->Run([&]() -> std::vector<float> {
    const PackedBatch batch{0, {static_cast<int64_t>(ids.size())}};
    const at::Tensor hidden_TD = base_cut_->Forward(base_cut_->Embed(ids), batch);
    const at::Tensor chosen_RD = hidden_TD.index_select(0, at::tensor(positions, at::kLong));
    const float* values = chosen_RD.const_data_ptr<float>();
    return {values, values + chosen_RD.numel()};
  });
}

at::Tensor Models::ActorPrompt(std::span<const float> activation) const {
  const SmallTensorWork small;
  const at::Tensor rows_TD = Verbalizer().Embed(prompt_.ids);
  const at::Tensor vector_1D =
      at::from_blob(const_cast<float*>(activation.data()), {1, static_cast<int64_t>(activation.size())}, at::kFloat);
  const InjectionOptions injection{actor_->sidecar.injection_rule, actor_->sidecar.injection_scale};
  return Inject(rows_TD, vector_1D, at::tensor(prompt_.site, at::kLong).reshape({1}), injection);
}

}  // namespace nla::serve
