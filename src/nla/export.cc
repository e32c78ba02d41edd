// Merging and exporting. The plan of tensors comes first, so that shards and headers are known before a byte is
// written.
#include "nla/export.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/ones.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/fail.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "model/tensor_io.h"
#include "nla/checkpoint_files.h"

namespace nla {
namespace {

constexpr int64_t kChunkValues = int64_t{1} << 24;  // of a tensor at a time, in fp32

// A tensor of the output and where its values come from.
struct PlannedTensor {
  TensorSpec spec;
  const TensorView* base = nullptr;  // null: made up here (ones or the identity)
  AdapterFile::Factors factors = {};
};

struct Plan {
  std::vector<PlannedTensor> tensors;
  LoraSpec lora = {};  // of the adapters
};

uint64_t BytesOf(const TensorSpec& spec) {
  const std::optional<uint64_t> bytes = CheckedProduct(spec.shape, SizeOf(spec.dtype));
  NLA_CHECK(bytes.has_value());
  return *bytes;
}

// Factors by the names of the weights that they belong to.
std::map<std::string, AdapterFile::Factors> FactorsByName(const AdapterFile& adapters, int64_t blocks) {
  std::map<std::string, AdapterFile::Factors> factors;
  for (int64_t block = 0; block < blocks; ++block) {
    for (int linear = 0; linear < kLinearsPerBlock; ++linear) {
      if (!adapters.adapts(linear)) continue;
      factors[fmt::format("model.layers.{}.{}.weight", block, LinearNames()[linear])] = adapters.At(block, linear);
    }
  }
  return factors;
}

// Readers that build the whole model want a final norm; Megatron's converter also a head of the value head's shape.
void AddBallast(Plan& plan, int64_t d_model, DType dtype, bool megatron) {
  plan.tensors.push_back({.spec = {"model.norm.weight", dtype, {d_model}}});
  if (megatron) plan.tensors.push_back({.spec = {"lm_head.weight", dtype, {d_model, d_model}}});
}

Plan MakePlan(const RoleWeights& role, const ModelSpec& spec, const std::optional<AdapterFile>& adapters,
              int64_t blocks, const ExportOptions& options) {
  const bool critic = role.sidecar.role == Role::kCritic;
  Plan plan;
  std::map<std::string, AdapterFile::Factors> factors;
  if (adapters) {
    plan.lora = adapters->spec();
    factors = FactorsByName(*adapters, blocks);
  }
  for (const TensorFacts& facts : TensorsOf(spec, blocks, /*with_head=*/!critic)) {
    const TensorView& view = FindTensor(role.checkpoint, spec, facts.name);
    if (view.shape != facts.shape) {
      Fail({.where = fmt::format("{}: tensor {}", role.checkpoint.directory().string(), facts.name),
            .what = "shape",
            .found = fmt::format("[{}]", fmt::join(view.shape, ", ")),
            .wanted = fmt::format("[{}]", fmt::join(facts.shape, ", "))});
    }
    PlannedTensor planned{.spec = {facts.name, options.store.value_or(view.dtype), facts.shape}, .base = &view};
    if (const auto found = factors.find(facts.name); found != factors.end()) {
      planned.factors = found->second;
      factors.erase(found);
    }
    plan.tensors.push_back(std::move(planned));
  }
  NLA_CHECK(factors.empty());  // the spec has every linear
  NLA_CHECK(!plan.tensors.empty());
  if (critic) AddBallast(plan, role.sidecar.d_model, plan.tensors.front().spec.dtype, options.megatron);
  // Wider types first, so that every tensor is aligned.
  std::stable_sort(plan.tensors.begin(), plan.tensors.end(), [](const PlannedTensor& a, const PlannedTensor& b) {
    return SizeOf(a.spec.dtype) > SizeOf(b.spec.dtype);
  });
  return plan;
}

TensorView RowsOf(const TensorView& view, int64_t begin, int64_t count) {
  const auto row_bytes = view.bytes.size() / static_cast<size_t>(view.shape[0]);
  std::vector<int64_t> shape = view.shape;
  shape[0] = count;
  return {view.name, view.dtype, shape, view.bytes.subspan(begin * row_bytes, count * row_bytes)};
}

std::span<const std::byte> BytesOf(const at::Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()};
}

at::Tensor MadeUp(const TensorSpec& spec) {
  return spec.shape.size() == 1 ? at::ones(spec.shape, at::kFloat) : at::eye(spec.shape[0], at::kFloat);
}

// The tensor's values, some rows at a time.
void AppendTensor(const PlannedTensor& planned, const LoraSpec& lora, const std::string& where,
                  SafetensorsWriter& writer) {
  const at::ScalarType store = ScalarOf(planned.spec.dtype, where);
  if (planned.base == nullptr) return writer.Append(BytesOf(MadeUp(planned.spec).to(store).contiguous()));
  const TensorView& view = *planned.base;
  const bool merge = planned.factors.a != nullptr;
  if (!merge && view.dtype == planned.spec.dtype) return writer.Append(view.bytes);
  at::Tensor a_RX;
  at::Tensor b_XR;
  if (merge) {
    a_RX = ToTensor(*planned.factors.a, {lora.rank, view.shape[1]}, at::kFloat, where);
    b_XR = ToTensor(*planned.factors.b, {view.shape[0], lora.rank}, at::kFloat, where);
  }
  const int64_t rows = view.shape[0];
  const int64_t at_once = std::max<int64_t>(1, kChunkValues * rows / std::max<int64_t>(1, view.numel()));
  for (int64_t begin = 0; begin < rows; begin += at_once) {
    const int64_t count = std::min(at_once, rows - begin);
    const TensorView part = RowsOf(view, begin, count);
    at::Tensor values = ToTensor(part, part.shape, at::kFloat, where);
    if (merge) values.addmm_(b_XR.narrow(0, begin, count), a_RX, 1, lora.scale());
    values = values.to(store).contiguous();
    if (!at::isfinite(values).all().item<bool>()) {
      Fail({.where = fmt::format("{}: tensor {}", where, planned.spec.name),
            .what = fmt::format("has a value that {} cannot hold", Name(planned.spec.dtype)),
            .wanted = "finite numbers",
            .mend = "Store a wider type (--dtype fp32)"});
    }
    writer.Append(BytesOf(values));
  }
}

// Index of the first tensor of every shard.
std::vector<size_t> Shards(const Plan& plan, uint64_t limit) {
  std::vector<size_t> firsts = {0};
  uint64_t bytes = 0;
  for (size_t i = 0; i < plan.tensors.size(); ++i) {
    const uint64_t size = BytesOf(plan.tensors[i].spec);
    if (bytes > 0 && bytes + size > limit) {
      firsts.push_back(i);
      bytes = 0;
    }
    bytes += size;
  }
  return firsts;
}

void WriteWeights(const Plan& plan, const fs::path& directory, const std::string& where, const ExportOptions& options,
                  ExportFacts& facts) {
  const std::vector<size_t> firsts = Shards(plan, options.shard_bytes);
  nlohmann::ordered_json weight_map = nlohmann::ordered_json::object();
  Progress progress("merge", "tensors", static_cast<int64_t>(plan.tensors.size()));
  for (size_t shard = 0; shard < firsts.size(); ++shard) {
    const size_t end = shard + 1 < firsts.size() ? firsts[shard + 1] : plan.tensors.size();
    const std::string name = firsts.size() == 1
                                 ? "model.safetensors"
                                 : fmt::format("model-{:05}-of-{:05}.safetensors", shard + 1, firsts.size());
    std::vector<TensorSpec> specs;
    for (size_t i = firsts[shard]; i < end; ++i) specs.push_back(plan.tensors[i].spec);
    SafetensorsWriter writer(directory / name, specs, {{"format", "pt"}});
    for (size_t i = firsts[shard]; i < end; ++i) {
      ThrowIfInterrupted();
      AppendTensor(plan.tensors[i], plan.lora, where, writer);
      weight_map[plan.tensors[i].spec.name] = name;
      facts.weight_bytes += BytesOf(plan.tensors[i].spec);
      progress.Update(static_cast<int64_t>(i) + 1);
    }
    writer.Commit();
  }
  facts.tensors = static_cast<int64_t>(plan.tensors.size());
  facts.files = static_cast<int64_t>(firsts.size());
  if (firsts.size() == 1) return;
  const nlohmann::ordered_json index = {{"metadata", {{"total_size", facts.weight_bytes}}}, {"weight_map", weight_map}};
  WriteFileAtomically(directory / "model.safetensors.index.json", index.dump(2) + "\n");
}

// transformers' name of a type.
std::string TorchName(DType dtype) {
  if (dtype == DType::kBF16) return "bfloat16";
  if (dtype == DType::kF16) return "float16";
  return dtype == DType::kF64 ? "float64" : "float32";
}

void WriteModelConfig(const Checkpoint& checkpoint, int64_t blocks, DType dtype, const fs::path& directory) {
  nlohmann::json config = CutConfig(checkpoint.config(), blocks);
  if (config.contains("dtype")) config["dtype"] = TorchName(dtype);
  config["torch_dtype"] = TorchName(dtype);  // the key that every version of transformers reads
  config.erase("_name_or_path");
  WriteConfig(config, directory);
}

// "/home/me/runs/ar" -> "ar": what is published need not tell of this machine's folders.
std::string WithoutFolders(const std::string& value) {
  return value.starts_with('/') ? fs::path(value).filename().string() : value;
}

void WriteSidecar(const RoleSource& source, ModelSidecar sidecar, const fs::path& directory) {
  sidecar.weights_hash = TrainedWeightsHash(directory);
  sidecar.created_at.clear();
  sidecar.created_by = "nla merge";
  if (HasAdapters(source.directory)) sidecar.parent_checkpoints = {sidecar.base_checkpoint};
  for (std::string& parent : sidecar.parent_checkpoints) parent = WithoutFolders(parent);
  for (auto& [name, value] : sidecar.training) value = WithoutFolders(value);
  WriteModelSidecar(directory, sidecar);
}

// The head keeps its own type: merging does not touch it.
void WriteValueHead(const RoleSource& source, int64_t d_model, const fs::path& directory) {
  LoadValueHead(source.directory, d_model);  // checks
  ValueHead head = FindValueHead(source.directory).value();
  head.view.name = "weight";
  WriteSafetensors(directory / "value_head.safetensors", std::span(&head.view, 1), {{"format", "pt"}});
}

// The reference's critic refuses a tokenizer that names a token for the beginning and does not put it before a prompt.
// Nothing that a reconstructor does needs that name.
void ForgetUnusedBos(const fs::path& directory) {
  const Tokenizer tokenizer = Tokenizer::Load(directory);
  const std::vector<TokenId> ids = tokenizer.Encode("x", {.add_special = true});
  for (const char* file : {"tokenizer_config.json", "special_tokens_map.json"}) {
    const fs::path path = directory / file;
    if (!fs::exists(path)) continue;
    nlohmann::ordered_json config = nlohmann::ordered_json::parse(ReadFile(path), nullptr, /*allow_exceptions=*/false);
    if (!config.is_object() || !config.contains("bos_token")) continue;
    const nlohmann::ordered_json& bos = config["bos_token"];
    const std::string text = bos.is_object() ? bos.value("content", "") : bos.is_string() ? bos.get<std::string>() : "";
    const std::optional<TokenId> id = tokenizer.Find(text);
    if (id && !ids.empty() && ids.front() == *id) continue;
    config["bos_token"] = nullptr;
    WriteFileAtomically(path, config.dump(2) + "\n");
  }
}

ExportFacts WriteRole(const RoleSource& source, const fs::path& directory, const ExportOptions& options) {
  const Role which = ReadModelSidecar(source.directory).role;
  const RoleWeights role = OpenRole(source, which);
  const Checkpoint& checkpoint = role.checkpoint;
  const ModelSpec spec = ParseModelSpec(checkpoint.config(), (checkpoint.directory() / "config.json").string());
  ExportFacts facts{.role = which, .merged = HasAdapters(source.directory)};
  facts.blocks = which == Role::kCritic ? *role.sidecar.layer + 1 : spec.n_blocks;
  std::optional<AdapterFile> adapters;
  if (facts.merged) adapters.emplace(AdapterFile::Open(source.directory));
  const Plan plan = MakePlan(role, spec, adapters, facts.blocks, options);
  fs::create_directories(directory);
  WriteWeights(plan, directory, source.directory.string(), options, facts);
  const auto embedding = std::find_if(plan.tensors.begin(), plan.tensors.end(), [](const PlannedTensor& planned) {
    return planned.spec.name == "model.embed_tokens.weight";
  });
  NLA_CHECK(embedding != plan.tensors.end());
  WriteModelConfig(checkpoint, facts.blocks, embedding->spec.dtype, directory);
  CopyTextFiles(checkpoint.directory(), directory);
  if (which == Role::kCritic) {
    ForgetUnusedBos(directory);
    WriteValueHead(source, role.sidecar.d_model, directory);
  }
  WriteSidecar(source, role.sidecar, directory);
  return facts;
}

}  // namespace

ExportFacts ExportRole(const RoleSource& source, const fs::path& out, const ExportOptions& options) {
  AtomicDirectory directory(out, options.replace);
  const ExportFacts facts = WriteRole(source, directory.temporary_path(), options);
  directory.Commit();
  return facts;
}

PairExportFacts ExportPair(const PairLocation& pair, const fs::path& out, const ExportOptions& options) {
  AtomicDirectory directory(out, options.replace);
  PairExportFacts facts;
  facts.actor = WriteRole(pair.Actor(at::kFloat), directory.temporary_path() / "av", options);
  facts.critic = WriteRole(pair.Critic(at::kFloat), directory.temporary_path() / "ar", options);
  PairManifest manifest = pair.manifest;
  if (!pair.base.empty()) manifest.base_path = fs::proximate(fs::absolute(pair.base), fs::absolute(out));
  WritePairManifest(directory.temporary_path() / "pair.yaml", manifest);
  directory.Commit();
  return facts;
}

}  // namespace nla
