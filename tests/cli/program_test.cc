// The program's surface: help, version, exit codes, one line an error, and --json for errors too.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "cli/run_testing.h"

namespace nla {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

TEST(Program, HelpListsCommandsInGroups) {
  const RunResult run = RunNla({"--help"});
  EXPECT_EQ(run.code, 0);
  EXPECT_THAT(run.err, IsEmpty());
  EXPECT_THAT(run.out, AllOf(HasSubstr("Usage: nla [OPTIONS] COMMAND"), HasSubstr("\nLook at files and models:\n"),
                             HasSubstr("\n  convert "), HasSubstr("Exit codes: 0 done, 1 the work failed")));
}

TEST(Program, EveryCommandHasHelpWithAnExampleAndTheCommonOptions) {
  const std::vector<std::string> commands = Commands();
  ASSERT_THAT(commands, testing::Contains("convert"));
  for (const std::string& command : commands) {
    const RunResult run = RunNla({command, "--help"});
    EXPECT_EQ(run.code, 0) << command;
    if (run.out.find("] COMMAND") != std::string::npos) continue;  // its own commands carry the options
    EXPECT_THAT(run.out, AllOf(HasSubstr("Example:\n"), HasSubstr("\n  nla " + command), HasSubstr("--threads N"),
                               HasSubstr("--device "), HasSubstr("--dtype auto|fp32|bf16"), HasSubstr("--seed N"),
                               HasSubstr("--log-level debug|info|warn|error|off"), HasSubstr("--json")))
        << command;
  }
}

TEST(Program, HelpLinesAreShort) {
  for (const std::string& command : Commands()) {
    std::istringstream help(RunNla({command, "--help"}).out);
    for (std::string line; std::getline(help, line);) {
      // Examples and usage are shown as typed; the two columns are wrapped; summaries may be a little longer.
      if (line.starts_with("  nla ") || line.starts_with("Usage: ")) continue;
      EXPECT_LE(line.size(), 120U) << command << ": " << line;
    }
  }
}

TEST(Program, ShowsItsVersion) {
  const RunResult run = RunNla({"--version"});
  EXPECT_EQ(run.code, 0);
  EXPECT_THAT(run.out, testing::MatchesRegex("nla [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST(Program, WithoutACommandShowsHelpAndFails) {
  const RunResult run = RunNla({});
  EXPECT_EQ(run.code, 2);
  EXPECT_THAT(run.out, IsEmpty());
  EXPECT_THAT(run.err, AllOf(HasSubstr("Usage: nla"), HasSubstr("\nnla: no command given\n")));
}

TEST(Program, WrongUsageEndsWithOneLineAndTwo) {
  const auto error = [](const std::vector<std::string>& arguments) {
    const RunResult run = RunNla(arguments);
    EXPECT_EQ(run.code, 2);
    EXPECT_THAT(run.out, IsEmpty());
    return run.err;
  };
  EXPECT_EQ(error({"convrt", "a", "b"}), "nla: unknown command \"convrt\". Did you mean \"convert\"?\n");
  EXPECT_EQ(error({"--jsno"}), "nla: unknown option \"--jsno\". See `nla --help`.\n");
  EXPECT_EQ(error({"convert", "--sede=3", "a", "b"}),
            "nla: convert: unknown option \"--sede=3\". Did you mean \"--seed\"?\n");
  EXPECT_EQ(error({"convert", "a", "b", "c"}), "nla: convert: unknown argument \"c\". See `nla convert --help`.\n");
  EXPECT_EQ(error({"convert", "a", "b", "--device", "gpu"}),
            "nla: convert: --device: found \"gpu\", wanted cpu, cuda or cuda:N. See `nla convert --help`.\n");
  EXPECT_THAT(error({"convert"}), AllOf(HasSubstr("is required"), HasSubstr("See `nla convert --help`")));
  for (const char* value : {"-1", "1.5", "x", ""}) {
    EXPECT_THAT(error({"convert", "a", "b", std::string("--seed=") + value}), StartsWith("nla: convert: --seed"))
        << value;
    EXPECT_THAT(error({"convert", "a", "b", std::string("--threads=") + value}), StartsWith("nla: convert: --threads"))
        << value;
  }
  EXPECT_THAT(error({"convert", "a", "b", "--dtype", "fp16"}), StartsWith("nla: convert: --dtype"));
  EXPECT_THAT(error({"convert", "a", "b", "--log-level", "loud"}), StartsWith("nla: convert: --log-level"));
}

TEST(Program, FailedWorkEndsWithOneLineAndOne) {
  const RunResult run = RunNla({"convert", "/no/such/file.gguf", "/no/such/out"});
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.out, IsEmpty());
  EXPECT_THAT(run.err, AllOf(StartsWith("nla: /no/such/file.gguf: "), HasSubstr("No such file")));
  EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1);
}

TEST(Program, JsonErrorsAreOneDocument) {
  const RunResult failed = RunNla({"convert", "--json", "/no/such/file.gguf", "/no/such/out"});
  EXPECT_EQ(failed.code, 1);
  const auto document = nlohmann::json::parse(failed.out);
  EXPECT_EQ(document["error"]["kind"], "failed");
  EXPECT_EQ(document["error"]["exit_code"], 1);
  EXPECT_EQ("nla: " + document["error"]["message"].get<std::string>() + "\n", failed.err);

  const RunResult usage = RunNla({"convert", "--json"});
  EXPECT_EQ(usage.code, 2);
  EXPECT_EQ(nlohmann::json::parse(usage.out)["error"]["kind"], "usage");
}

TEST(Program, AFullDiskUnderStdoutIsAnError) {
  const RunResult run = RunShell(std::string(NLA_PROGRAM) + " --help > /dev/full");
  EXPECT_EQ(run.code, 1);
  EXPECT_EQ(run.err, "nla: stdout: cannot write the results: No space left on device\n");
}

TEST(Program, AnUnwritableStderrChangesNoExitCode) {
  EXPECT_EQ(RunShell(std::string(NLA_PROGRAM) + " convert /no/such/file.gguf /no/such/out 2> /dev/full").code, 1);
}

}  // namespace
}  // namespace nla
