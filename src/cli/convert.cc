// `nla convert`: a GGUF file as a Hugging Face directory.
#include "weights/convert.h"

#include <fmt/format.h>

#include <memory>

#include "base/fail.h"
#include "cli/commands.h"

namespace nla::cli {
namespace {

struct Options {
  std::string input, output;
  std::string store = "bf16";
  bool replace = false;
};

DType StoredDType(const std::string& name) {
  if (name == "bf16") return DType::kBF16;
  if (name == "f16") return DType::kF16;
  if (name == "f32") return DType::kF32;
  FailUsage({.where = "--store", .what = "unknown type", .found = name, .wanted = "bf16, f16 or f32"});
}

void Run(const CommonOptions& common, const Options& options) {
  const ConvertOptions convert{.dtype = StoredDType(options.store), .replace = options.replace};
  const ConvertFacts facts = ConvertGguf(options.input, options.output, convert);
  if (common.json) {
    PrintJson({{"input", options.input},
               {"output", options.output},
               {"architecture", facts.architecture},
               {"dtype", options.store},
               {"tensors", facts.tensors},
               {"parameters", facts.parameters},
               {"weight_bytes", facts.weight_bytes},
               {"weights_hash", facts.weights_hash}});
    return;
  }
  fmt::print("{}: {} model, {} tensors, {} parameters in {}, weights {}\n", options.output, facts.architecture,
             facts.tensors, facts.parameters, options.store, facts.weights_hash.substr(0, 12));
}

}  // namespace

void AddConvert(CLI::App& root, CommonOptions& common) {
  CLI::App* command = AddCommand(root, common, "convert", "Turn a GGUF file into a Hugging Face model directory",
                                 "nla convert SmolLM2-135M-Instruct.Q4_1.gguf models/smollm2");
  const auto options = std::make_shared<Options>();  // shared: the callback outlives this function
  command->add_option("IN", options->input, "the GGUF file")->required();
  command->add_option("OUT", options->output, "the directory to write; appears whole or not at all")->required();
  command->add_option("--store", options->store, "type of the stored weights: bf16, f16 or f32")->capture_default_str();
  command->add_flag("--replace", options->replace, "replace OUT if it exists");
  command->callback([&common, options] { Run(common, *options); });
}

}  // namespace nla::cli
