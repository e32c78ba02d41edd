// Weight files and base models.
#include <fmt/format.h>

#include <map>

#include "base/fail.h"
#include "data/activation_table.h"
#include "model/decoder.h"
#include "nla/inspect_kinds.h"
#include "text/chat.h"
#include "text/tokenizer.h"
#include "weights/checkpoint.h"
#include "weights/gguf.h"

namespace nla {
namespace {

namespace fs = std::filesystem;

void AddTensorFacts(const std::vector<TensorView>& tensors, Inspection& out) {
  std::map<std::string, int64_t> by_dtype;
  int64_t parameters = 0;
  for (const TensorView& tensor : tensors) {
    ++by_dtype[std::string(Name(tensor.dtype))];
    parameters += tensor.numel();
  }
  out.Fact("tensors", static_cast<int64_t>(tensors.size()));
  out.Fact("parameters", parameters);
  for (const auto& [dtype, count] : by_dtype) out.Fact("tensors of " + dtype, count);
}

// What a model's file has and a file of vectors lacks: many tensors.
bool MayBeActivations(const std::vector<TensorView>& tensors) {
  const auto named = [](const TensorView& tensor) { return tensor.name == "activation_vector"; };
  return tensors.size() == 1 || std::any_of(tensors.begin(), tensors.end(), named);
}

// The key of `architecture`'s metadata, or nothing.
void AddGgufFact(const GgufFile& file, const std::string& architecture, const char* key, Inspection& out) {
  const auto found = file.metadata().find(architecture + "." + key);
  if (found != file.metadata().end()) out.Fact(key, found->dump());
}

}  // namespace

void InspectSafetensors(const InspectSubject& subject, Inspection& out) {
  out.Try([&] {
    const SafetensorsFile file = SafetensorsFile::Open(subject.path);
    AddTensorFacts(file.tensors(), out);
    if (!MayBeActivations(file.tensors())) return;
    try {
      ActivationReader reader = ActivationReader::Open(subject.path);
      NormStatistics norms;
      for (auto rows = reader.Next(1024); !rows.empty(); rows = reader.Next(1024)) {
        for (const ActivationRow& row : rows) norms.Add(row.activation);
      }
      AddRowFacts(reader.row_count(), reader.d_model(), norms.Summary(), out);
    } catch (const Error& error) {
      out.Fact("as activations", error.what());  // a weight file need not be one
    }
  });
}

void InspectGguf(const InspectSubject& subject, Inspection& out) {
  out.Try([&] {
    const GgufFile file = GgufFile::Open(subject.path);
    const auto architecture = file.metadata().value("general.architecture", std::string("?"));
    out.Fact("architecture", architecture);
    out.Fact("name", file.metadata().value("general.name", std::string("?")));
    for (const char* key : {"block_count", "embedding_length", "context_length"}) {
      AddGgufFact(file, architecture, key, out);
    }
    std::map<std::string, int64_t> by_type;
    for (const GgufTensor& tensor : file.tensors()) {
      const GgmlTypeFacts* type = FindGgmlType(static_cast<uint32_t>(tensor.type));
      ++by_type[type == nullptr ? "unknown type" : type->name];
    }
    out.Fact("tensors", static_cast<int64_t>(file.tensors().size()));
    for (const auto& [type, count] : by_type) out.Fact("tensors of " + type, count);
  });
}

void InspectCheckpoint(const InspectSubject& subject, Inspection& out) {
  const fs::path& path = subject.path;
  out.Try([&] {
    const Checkpoint checkpoint = Checkpoint::Open(path);
    const ModelSpec spec = ParseModelSpec(checkpoint.config(), (path / "config.json").string());
    out.Fact("model_type", spec.model_type);
    out.Fact("blocks", spec.n_blocks);
    out.Fact("d_model", spec.d_model);
    out.Fact("vocabulary", spec.vocab_size);
    out.Fact("weights_hash", checkpoint.WeightsHash());
    Decoder::Load(checkpoint, {.compute = at::kBFloat16});
  });
  out.Try([&] { out.Fact("tokenizer_hash", Tokenizer::Load(path).hash()); });
  out.Try([&] { ChatFormat::Load(path); });
}

}  // namespace nla
