// Loading and checking of AV and AR directories.
#include "nla/role_checkpoint.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/fail.h"
#include "model/tensor_io.h"
#include "nla/role_checks.h"

namespace nla {
namespace {

constexpr const char* kValueHeadFile = "value_head.safetensors";

// The directory that has the whole weights and the tokenizer: the role's own, or its base.
std::filesystem::path WeightsDirectory(const RoleSource& source) {
  if (!HasAdapters(source.directory)) return source.directory;
  if (source.base.empty()) {
    FailUsage({.where = source.directory.string(),
               .what = "holds adapters alone, and no base model is given",
               .mend = "Pass --base DIR"});
  }
  return source.base;
}

void CheckFacts(const RoleSource& source, const ModelSidecar& sidecar, Role role) {
  const std::string where = (source.directory / "nla_meta.yaml").string();
  if (sidecar.role != role) {
    Fail({.where = where + ": role",
          .what = "is of the other side of a pair",
          .wanted = role == Role::kActor ? "actor (a verbalizer)" : "critic (a reconstructor)"});
  }
  if (role == Role::kCritic && !sidecar.layer) {
    Fail({.where = where + ": critic.extraction_layer_index", .what = "is missing", .wanted = "K, 0-based"});
  }
}

// The sidecar's width and K against the weights: a whole AR has blocks 0..K, a base that adapters lie over may have
// more.
void CheckShape(const RoleSource& source, const ModelSidecar& sidecar, const Checkpoint& checkpoint) {
  const std::string where = (source.directory / "nla_meta.yaml").string();
  const std::string config = (checkpoint.directory() / "config.json").string();
  const ModelSpec spec = ParseModelSpec(checkpoint.config(), config);
  if (sidecar.d_model != spec.d_model) {
    Fail({.where = where + ": d_model",
          .what = "is not the width of the model",
          .found = std::to_string(sidecar.d_model),
          .wanted = fmt::format("{} (hidden_size of {})", spec.d_model, config)});
  }
  if (sidecar.role != Role::kCritic) return;
  const int64_t blocks = *sidecar.layer + 1;
  if (HasAdapters(source.directory) ? blocks > spec.n_blocks : blocks != spec.n_blocks) {
    Fail({.where = where + ": critic.extraction_layer_index",
          .what = "does not agree with the number of blocks: a reconstructor is blocks 0..K of its base model",
          .found = fmt::format("K = {}", *sidecar.layer),
          .wanted = fmt::format("{}{} (num_hidden_layers - 1 of {})", HasAdapters(source.directory) ? "at most " : "",
                                spec.n_blocks - 1, config)});
  }
}

void CheckBase(const RoleSource& source, const ModelSidecar& sidecar, const Checkpoint& checkpoint) {
  if (!HasAdapters(source.directory) || sidecar.base_weights_hash.empty()) return;
  const std::string hash = source.base_hash.empty() ? checkpoint.WeightsHash() : source.base_hash;
  if (hash == sidecar.base_weights_hash) return;
  Fail({.where = source.base.string(),
        .what = fmt::format("is not the base model that {} was trained on", source.directory.string()),
        .found = "weights " + hash.substr(0, 16) + "…",
        .wanted = sidecar.base_weights_hash.substr(0, 16) + "…",
        .mend = "Adapters over other weights give other numbers: make the base model again, or pass the right --base"});
}

// Whole weights are left to `nla inspect`: reading every byte of them would cost more than loading them.
void CheckTrainedWeights(const RoleSource& source, const ModelSidecar& sidecar) {
  if (!HasAdapters(source.directory) || sidecar.weights_hash.empty()) return;
  const std::string hash = TrainedWeightsHash(source.directory);
  if (hash == sidecar.weights_hash) return;
  Fail({.where = source.directory.string(),
        .what = "the adapters or the value head are not those that were written with nla_meta.yaml",
        .found = "weights " + hash.substr(0, 16) + "…",
        .wanted = sidecar.weights_hash.substr(0, 16) + "…",
        .mend = "A file is damaged or of another run: copy the whole directory again"});
}

}  // namespace

ChatFormat LoadChat(const std::filesystem::path& directory, const ModelSidecar& sidecar) {
  const auto date = std::find_if(sidecar.extra.begin(), sidecar.extra.end(),
                                 [](const auto& fact) { return fact.first == kChatDateFact; });
  return ChatFormat::Load(directory, {.date = date == sidecar.extra.end() ? "" : date->second});
}

void CheckTokenizer(const RoleSource& source, const ModelSidecar& sidecar, const Tokenizer& tokenizer) {
  if (sidecar.tokenizer_hash.empty() || sidecar.tokenizer_hash == tokenizer.hash()) return;
  Fail({.where = (source.directory / "nla_meta.yaml").string() + ": nla_cpp.tokenizer_hash",
        .what = "was trained with another tokenizer",
        .found = tokenizer.hash().substr(0, 16) + "… (the tokenizer.json in use)",
        .wanted = sidecar.tokenizer_hash.substr(0, 16) + "…",
        .mend = "Use the base model that the pair names"});
}

void PackBeside(Decoder& decoder, packed::Format format) {
  constexpr int64_t kMostNumbers = int64_t{1} << 29;
  int64_t numbers = 0;
  for (const NamedTensor& weight : decoder.Weights()) numbers += weight.tensor.numel();
  if (format == packed::Format::kInt8 || numbers <= kMostNumbers) decoder.Pack(format);
}

RoleWeights OpenRole(const RoleSource& source, Role role) {
  ModelSidecar sidecar = ReadModelSidecar(source.directory);
  CheckFacts(source, sidecar, role);
  Checkpoint checkpoint = Checkpoint::Open(WeightsDirectory(source));
  CheckBase(source, sidecar, checkpoint);
  CheckShape(source, sidecar, checkpoint);
  CheckTrainedWeights(source, sidecar);
  return {std::move(sidecar), std::move(checkpoint)};
}

RoleCheckpoint LoadRole(const RoleSource& source, Role role) {
  auto [sidecar, checkpoint] = OpenRole(source, role);
  DecoderOptions options{.compute = source.compute, .with_head = role == Role::kActor};
  if (role == Role::kCritic) options.blocks = *sidecar.layer + 1;
  const bool adapters = HasAdapters(source.directory);
  const bool share = adapters && source.loaded_base != nullptr;
  if (source.packing) {
    NLA_CHECK(role == Role::kActor);
    if (!share) options.packing = source.packing;
    if (!share && adapters) options.adapters = source.directory;
  }
  LanguageModel model = share ? LanguageModel::WithDecoder(checkpoint.directory(), source.loaded_base->Share(options))
                              : LanguageModel::Load(checkpoint.directory(), options);
  CheckTokenizer(source, sidecar, model.tokenizer);
  if (model.chat.uses_date()) model.chat = LoadChat(model.directory, sidecar);
  if (adapters && !options.packing) model.decoder.LoadAdapters(source.directory);
  if (source.packing && share) PackBeside(model.decoder, *source.packing);
  at::Tensor value_head;
  if (role == Role::kCritic) value_head = LoadValueHead(source.directory, sidecar.d_model);
  return {std::move(sidecar), std::move(model.tokenizer), std::move(model.chat), std::move(model.decoder),
          std::move(value_head)};
}

std::optional<ValueHead> FindValueHead(const std::filesystem::path& directory) {
  std::vector<SafetensorsFile> files;
  const std::filesystem::path own = directory / kValueHeadFile;
  const bool has_own = std::filesystem::exists(own);
  if (has_own) {
    files.push_back(SafetensorsFile::Open(own));
  } else if (!HasAdapters(directory)) {
    files = Checkpoint::OpenWeights(directory);
  }
  for (SafetensorsFile& file : files) {
    const TensorView* view = has_own ? file.Find("weight") : nullptr;
    if (view == nullptr) view = file.Find("value_head.weight");
    if (view != nullptr) return ValueHead{std::move(file), *view};
  }
  if (!has_own) return std::nullopt;
  Fail({.where = own.string(), .what = "tensor weight is missing"});
}

at::Tensor LoadValueHead(const std::filesystem::path& directory, int64_t d_model) {
  const std::optional<ValueHead> head = FindValueHead(directory);
  if (!head) {
    Fail({.where = (directory / kValueHeadFile).string(),
          .what = "is missing, and the weights hold no value_head.weight",
          .mend = "A reconstructor cannot work without its value head: fetch the whole directory"});
  }
  return ToTensor(head->view, {d_model, d_model}, at::kFloat, head->file.path().string());
}

std::string TrainedWeightsHash(const std::filesystem::path& directory) {
  std::vector<SafetensorsFile> files;
  if (HasAdapters(directory)) {
    files.push_back(SafetensorsFile::Open(directory / "adapter_model.safetensors"));
  } else {
    files = Checkpoint::OpenWeights(directory);
  }
  const std::filesystem::path head = directory / kValueHeadFile;
  if (std::filesystem::exists(head)) files.push_back(SafetensorsFile::Open(head));
  return HashOfTensors(files);
}

}  // namespace nla
