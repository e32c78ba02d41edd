// The table of kinds, and the choice of one.
#include "nla/inspect.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/fail.h"
#include "data/activation_format.h"
#include "nla/inspect_kinds.h"

namespace nla {
namespace {

namespace fs = std::filesystem;

template <size_t N>
struct Literal {
  constexpr Literal(const char (&text)[N]) { std::copy_n(text, N, value); }  // NOLINT(google-explicit-constructor)
  char value[N];
};

template <Literal ending>
bool EndsWith(const fs::path& path) {
  return path.filename().string().ends_with(ending.value);
}

template <Literal name>
bool Holds(const fs::path& path) {
  return fs::is_regular_file(path / name.value);
}

bool IsActivations(const fs::path& path) {
  return fs::is_regular_file(path) && FormatOf(path).has_value() && FormatOf(path) != ActivationFormat::kJsonl;
}

// The first that says yes is it, so the narrower stand before the wider.
const std::array<InspectKind, 13> kKinds = {{
    {"pair", "a folder with pair.yaml", Holds<"pair.yaml">, InspectPair},
    {"verbalizer or reconstructor", "nla_meta.yaml", Holds<"nla_meta.yaml">, InspectRole},
    {"checkpoint", "config.json", Holds<"config.json">, InspectCheckpoint},
    {"model sidecar", "nla_meta.yaml alone", [](const fs::path& path) { return path.filename() == "nla_meta.yaml"; },
     InspectModelSidecar},
    {"dataset sidecar", ".nla_meta.yaml", EndsWith<".nla_meta.yaml">, InspectDatasetSidecar},
    {"gguf", ".gguf", EndsWith<".gguf">, InspectGguf},
    {"safetensors", ".safetensors", EndsWith<".safetensors">, InspectSafetensors},
    {"tokenizer", "tokenizer.json", EndsWith<"tokenizer.json">, InspectTokenizer},
    {"chat template", ".jinja", EndsWith<".jinja">, InspectChatTemplate},
    {"chat template", "tokenizer_config.json", EndsWith<"tokenizer_config.json">, InspectChatTemplate},
    {"dataset", ".parquet", IsDataset, InspectDataset},
    {"activations", ".npy or .npz", IsActivations, InspectActivations},
    {"lines", ".jsonl", EndsWith<".jsonl">, InspectLines},
}};

std::string ToldBy(std::span<const InspectKind> more) {
  std::string all;
  for (const auto kinds : {more, std::span<const InspectKind>(kKinds)}) {
    for (const InspectKind& kind : kinds) all += (all.empty() ? "" : ", ") + kind.told_by;
  }
  return all;
}

}  // namespace

void Inspection::Try(const std::function<void()>& check) {
  try {
    check();
  } catch (const std::exception& error) {
    if (std::find(problems.begin(), problems.end(), error.what()) == problems.end()) {
      problems.emplace_back(error.what());
    }
  }
}

Inspection Inspect(const fs::path& path, const fs::path& base, std::span<const InspectKind> more) {
  if (!fs::exists(path)) Fail({.where = path.string(), .what = "there is no such file or folder"});
  for (const auto kinds : {more, std::span<const InspectKind>(kKinds)}) {
    for (const InspectKind& kind : kinds) {
      if (!kind.is(path)) continue;
      Inspection out;
      out.kind = kind.name;
      out.Try([&] { kind.look({path, base}, out); });
      return out;
    }
  }
  Inspection out;
  out.kind = "unknown";
  out.problems.push_back(Describe({.where = path.string(), .what = "nothing that is known", .wanted = ToldBy(more)}));
  return out;
}

}  // namespace nla
