// Runs the converter and the oracle, once.
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

fs::path SmolLm2Reference() {
  const fs::path model = SmolLm2Directory();
  const fs::path script = kSource / "tools/oracles/smollm2_reference.py";
  std::string depends = ReadFile(script) + ReadFile(kTexts);
  for (const char* name : {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}) {
    depends += Sha256HexOfFile(model / name);
  }
  const fs::path kept = kSource / fmt::format(".cache/oracles/smollm2_{:.16}.safetensors", Sha256Hex(depends));
  if (fs::exists(kept)) return kept;
  fs::create_directories(kept.parent_path());
  const fs::path part = kept.string() + fmt::format(".part{}", getpid());
  const ProcessResult run = RunProcess({NLA_PYTHON, script.string(), "--model", model.string(), "--texts",
                                        kTexts.string(), "--limit", std::to_string(SmolLm2Texts().size()), "--layers",
                                        fmt::format("{}", fmt::join(kReferenceLayers, ",")), "--out", part.string()});
  if (run.exit_code != 0) Fail({.where = script.string(), .what = "failed"});
  fs::rename(part, kept);
  return kept;
}

}  // namespace nla::testing
