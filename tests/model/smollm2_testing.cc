// Runs the converters and the oracles, once.
#include "model/smollm2_testing.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/fail.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/subprocess.h"

namespace nla::testing {
namespace {

const fs::path kSource = NLA_SOURCE_DIR;
const fs::path kTexts = kSource / "tests/model/golden/texts.jsonl";

}  // namespace

fs::path SmolLm2Directory() {
  const ProcessResult run = RunProcess({"env", "NLA_PROGRAM=" NLA_PROGRAM, (kSource / "tools/base_model.sh").string()});
  if (run.exit_code != 0) Fail({.where = "tools/base_model.sh", .what = "failed"});
  return run.output.substr(0, run.output.find('\n'));
}

std::vector<std::string> SmolLm2Texts() {
  std::ifstream in(kTexts);
  std::vector<std::string> texts;
  for (std::string line; std::getline(in, line);) texts.push_back(nlohmann::json::parse(line).at("text"));
  return texts;
}

std::optional<fs::path> GemmaDirectory() {
  const ProcessResult run =
      RunProcess({"env", "NLA_PROGRAM=" NLA_PROGRAM, (kSource / "tools/gemma_model.sh").string()});
  if (run.exit_code == 3) return std::nullopt;
  if (run.exit_code != 0) Fail({.where = "tools/gemma_model.sh", .what = "failed"});
  return run.output.substr(0, run.output.find('\n'));
}

fs::path OracleOutput(const OracleRun& oracle) {
  const fs::path script = kSource / "tools/oracles" / (oracle.script + ".py");
  std::string depends = ReadFile(script);
  for (const std::string& argument : oracle.arguments) depends += argument + '\n';
  for (const fs::path& file : oracle.inputs) depends += Sha256HexOfFile(file);
  const fs::path kept =
      kSource / fmt::format(".cache/oracles/{}_{:.16}{}", oracle.script, Sha256Hex(depends), oracle.ending);
  if (fs::exists(kept)) return kept;
  fs::create_directories(kept.parent_path());
  const fs::path part = kept.string() + fmt::format(".part{}", getpid());
  std::vector<std::string> command = {"env",           "-C",    kSource.string(), NLA_PYTHON,
                                      script.string(), "--out", part.string()};
  command.insert(command.end(), oracle.arguments.begin(), oracle.arguments.end());
  if (RunProcess(command).exit_code != 0) Fail({.where = script.string(), .what = "failed"});
  fs::rename(part, kept);
  return kept;
}

std::vector<fs::path> ModelFiles(const fs::path& model) {
  std::vector<fs::path> files;
  for (const char* name : {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}) {
    files.push_back(model / name);
  }
  return files;
}

fs::path SmolLm2Reference() {
  const fs::path model = SmolLm2Directory();
  std::vector<fs::path> inputs = ModelFiles(model);
  inputs.push_back(kTexts);
  return OracleOutput({.script = "smollm2_reference",
                       .arguments = {"--model", model.string(), "--texts", kTexts.string(), "--limit",
                                     std::to_string(SmolLm2Texts().size()), "--layers",
                                     fmt::format("{}", fmt::join(kReferenceLayers, ","))},
                       .inputs = inputs});
}

}  // namespace nla::testing
