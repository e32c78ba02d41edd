// `nla convert`: a GGUF file as a Hugging Face directory, and back.
#include "weights/convert.h"

#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <memory>

#include "base/fail.h"
#include "cli/commands.h"
#include "weights/export_gguf.h"

namespace nla::cli {
namespace {

struct ConvertArguments {
  std::string input, output;
  std::string type = "bf16";
  uint64_t shard_bytes = ConvertOptions().shard_bytes;
  bool replace = false;
};

struct StoredType {
  std::string_view name;
  DType dtype;  // in a directory; Q8_0 has none
  GgmlType ggml;
};
constexpr std::array<StoredType, 4> kTypes = {{{"bf16", DType::kBF16, GgmlType::kBF16},
                                               {"f16", DType::kF16, GgmlType::kF16},
                                               {"f32", DType::kF32, GgmlType::kF32},
                                               {"q8_0", DType::kU8, GgmlType::kQ8_0}}};

StoredType FindType(const std::string& name, bool to_gguf) {
  for (const StoredType& type : kTypes) {
    if (type.name == name && (to_gguf || type.dtype != DType::kU8)) return type;
  }
  FailUsage({.where = "--type",
             .what = to_gguf ? "unknown type for a GGUF file" : "unknown type for a Hugging Face directory",
             .found = name,
             .wanted = to_gguf ? "bf16, f16, f32 or q8_0" : "bf16, f16 or f32"});
}

void RunImport(const CommonOptions& common, const ConvertArguments& options) {
  const ConvertOptions convert{
      .dtype = FindType(options.type, false).dtype, .replace = options.replace, .shard_bytes = options.shard_bytes};
  const ConvertFacts facts = ConvertGguf(options.input, options.output, convert);
  if (common.json) {
    PrintJson({{"input", options.input},
               {"output", options.output},
               {"architecture", facts.architecture},
               {"dtype", options.type},
               {"tensors", facts.tensors},
               {"parameters", facts.parameters},
               {"weight_bytes", facts.weight_bytes},
               {"weights_hash", facts.weights_hash}});
    return;
  }
  fmt::print("{}: {} model, {} tensors, {} parameters in {}, weights {}\n", options.output, facts.architecture,
             facts.tensors, facts.parameters, options.type, facts.weights_hash.substr(0, 12));
}

void RunExport(const CommonOptions& common, const ConvertArguments& options) {
  const GgufExportOptions convert{.type = FindType(options.type, true).ggml, .replace = options.replace};
  const GgufExportFacts facts = ExportGguf(options.input, options.output, convert);
  if (common.json) {
    PrintJson({{"input", options.input},
               {"output", options.output},
               {"architecture", facts.architecture},
               {"dtype", options.type},
               {"tensors", facts.tensors},
               {"parameters", facts.parameters},
               {"bytes", facts.bytes}});
    return;
  }
  fmt::print("{}: {} model, {} tensors, {} parameters in {}, {} bytes\n", options.output, facts.architecture,
             facts.tensors, facts.parameters, options.type, facts.bytes);
}

}  // namespace

void AddConvert(Command root, CommonOptions& common) {
  Command command = AddCommand(root, common, "convert", "Turn a GGUF file into a Hugging Face directory, or back",
                               "nla convert SmolLM2-135M-Instruct.Q4_1.gguf models/smollm2\n"
                               "  nla convert models/smollm2 smollm2.gguf --type q8_0");
  const auto options = std::make_shared<ConvertArguments>();  // shared: the callback outlives this function
  command.AddOption("IN", options->input, "the GGUF file, or the Hugging Face directory").Required();
  command.AddOption("OUT", options->output, "the directory or GGUF file to write; appears whole or not at all")
      .Required();
  command.AddOption("--type,--store", options->type, "type of the stored weights: bf16, f16, f32; q8_0 in a GGUF file")
      .ShowDefault();
  command
      .AddOption("--shard-size", options->shard_bytes,
                 "most bytes in one safetensors file of a directory, such as 5GB (10^9) or 5000000000")
      .ByteSize()
      .Positive()
      .ShowDefault();
  command.AddFlag("--replace", options->replace, "replace OUT if it exists");
  command.OnRun([&common, options] {
    std::filesystem::is_directory(options->input) ? RunExport(common, *options) : RunImport(common, *options);
  });
}

}  // namespace nla::cli
