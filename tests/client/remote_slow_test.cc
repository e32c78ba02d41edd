// `nla verbalize --server` as a program: beside `nla verbalize`, against our own server and a vLLM's stand-in; killed
// and taken up again.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/file.h"
#include "cli/run_testing.h"
#include "client/fake_server_testing.h"
#include "data/activation_table.h"
#include "serve/program_testing.h"

namespace nla {
namespace {

using nlohmann::json;
using serve::ServeProcess;
using testing::AllOf;
using testing::HasSubstr;

constexpr int64_t kRows = 40;

class RemoteSlow : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    tiny_ = std::make_unique<TinyPair>();
    tiny_->WriteHeldOut(kRows, /*explained=*/false);
    tiny_->Assemble("pair", "av", "ar");
  }
  static void TearDownTestSuite() { tiny_.reset(); }

  static std::string At(const std::string& name) { return (*tiny_ / name).string(); }
  static std::vector<std::string> Serving(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments{"--pair", At("pair"), "--threads", "1", "--dtype", "fp32"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  static std::string Url(const ServeProcess& server) { return server.ready()["url"]; }
  static std::vector<std::string> Verbalize(const std::vector<std::string>& more) {
    std::vector<std::string> arguments{
        "verbalize", "--pair", At("pair"),    "--activations", At("heldout.parquet"), "--threads", "1", "--dtype",
        "fp32",      "--json", "--log-level", "error",         "--max-new-tokens",    "12"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  static json Json(const std::vector<std::string>& more) {
    const RunResult run = RunNla(Verbalize(more));
    EXPECT_EQ(run.code, 0) << run.err;
    return json::parse(run.out, nullptr, /*allow_exceptions=*/false);
  }
  static std::string Error(const std::vector<std::string>& more, int code = 1) {
    const RunResult run = RunNla(Verbalize(more));
    EXPECT_EQ(run.code, code);
    EXPECT_EQ(json::parse(run.out, nullptr, false).contains("error"), true) << run.out;
    return run.err + run.out;
  }

  // Equal but for the last digits of the logprobs, which may follow the number of rows in a product.
  static void ExpectSame(json rows, json wanted) {
    ASSERT_EQ(rows.size(), wanted.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      EXPECT_NEAR(rows[i]["logprob"].get<double>(), wanted[i]["logprob"].get<double>(), 1e-3) << i;
      rows[i].erase("logprob");
      wanted[i].erase("logprob");
      EXPECT_EQ(rows[i], wanted[i]);
    }
  }
  static json LinesOf(const std::string& path) {
    json rows = json::array();
    std::istringstream lines(ReadFile(path));
    for (std::string line; std::getline(lines, line);) rows.push_back(json::parse(line));
    return rows;
  }

  static std::unique_ptr<TinyPair> tiny_;
};
std::unique_ptr<TinyPair> RemoteSlow::tiny_;

TEST_F(RemoteSlow, EqualsTheLocalCommand) {
  const ServeProcess server(Serving());
  const json here = Json({})["rows"];
  ASSERT_EQ(here.size(), static_cast<size_t>(kRows));
  ExpectSame(Json({"--server", Url(server)})["rows"], here);
  ExpectSame(Json({"--server", Url(server), "--transport", "json", "--concurrency", "3"})["rows"], here);
  // Sampled too: the seed of a reply is the same rule everywhere.
  const std::vector<std::string> sampled{"--temperature", "1", "--n", "3", "--seed", "7", "--top-k", "50"};
  const json drawn = Json(sampled)["rows"];
  std::vector<std::string> remote = sampled;
  remote.insert(remote.end(), {"--server", Url(server)});
  ExpectSame(Json(remote)["rows"], drawn);
  EXPECT_NE(drawn[0]["raw"], drawn[1]["raw"]);
}

TEST_F(RemoteSlow, FilesAreThoseOfTheLocalCommand) {
  const ServeProcess server(Serving());
  Json({"--out", At("here.jsonl")});
  const json said = Json({"--out", At("there.jsonl"), "--server", Url(server)});
  EXPECT_EQ(said["rows"], kRows);
  ExpectSame(LinesOf(At("there.jsonl")), LinesOf(At("here.jsonl")));
  EXPECT_FALSE(fs::exists(At("there.jsonl.journal")));

  const ServeProcess known({"--av", At("av_known"), "--threads", "1", "--dtype", "fp32"});
  const std::vector<std::string> whole{
      "verbalize",         "--av",     At("av_known"), "--activations", At("heldout.parquet"),
      "--threads",         "1",        "--dtype",      "fp32",          "--out",
      At("there.parquet"), "--server", Url(known)};
  const RunResult run = RunNla(whole);
  EXPECT_EQ(run.code, 0) << run.err;
  ActivationReader reader = ActivationReader::Open(At("there.parquet"));
  for (const ActivationRow& row : reader.Next(kRows))
    EXPECT_EQ(row.explanation, KnownExplanation(row.activation.data()));
  EXPECT_EQ(reader.row_count(), kRows);
}

// Kills the command as soon as its journal has some lines; false when it ended before.
bool KilledMidway(std::vector<std::string> arguments, const fs::path& journal, int64_t lines) {
  arguments.insert(arguments.begin(), NLA_PROGRAM);
  std::vector<char*> words;
  for (std::string& argument : arguments) words.push_back(argument.data());
  words.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
    execv(words[0], words.data());
    _exit(127);
  }
  for (;;) {
    int status = 0;
    if (waitpid(child, &status, WNOHANG) == child) return false;
    if (fs::exists(journal)) {
      const std::string text = ReadFile(journal);
      if (std::count(text.begin(), text.end(), '\n') > lines) break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return true;
}

TEST_F(RemoteSlow, AKilledRunGoesOn) {
  const FakeServer server(*tiny_, {{"kind", "sglang"}});
  const std::vector<std::string> arguments{"verbalize",
                                           "--av",
                                           At("av_known"),
                                           "--activations",
                                           At("heldout.parquet"),
                                           "--threads",
                                           "1",
                                           "--n",
                                           "15",
                                           "--out",
                                           At("killed.jsonl"),
                                           "--server",
                                           server.url(),
                                           "--log-level",
                                           "error",
                                           "--concurrency",
                                           "2"};
  ASSERT_TRUE(KilledMidway(arguments, At("killed.jsonl.journal"), 20));
  EXPECT_FALSE(fs::exists(At("killed.jsonl")));
  const size_t before = server.Requests().size();
  EXPECT_LT(before, static_cast<size_t>(kRows * 15));
  std::vector<std::string> other = arguments;
  other.insert(other.end(), {"--seed", "3"});
  EXPECT_THAT(RunNla(other).err, AllOf(HasSubstr("another run"), HasSubstr("--replace")));
  const RunResult again = RunNla(arguments);
  EXPECT_EQ(again.code, 0) << again.err;
  // What was on disk was not asked for again: at most the replies in flight were.
  EXPECT_LE(server.Requests().size(), static_cast<size_t>(kRows * 15 + 4));
  std::istringstream lines(ReadFile(At("killed.jsonl")));
  const std::vector<float> vectors = RandomVectors(kRows, 3);
  int64_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const json one = json::parse(line);
    EXPECT_EQ(one["index"], count / 15);
    EXPECT_EQ(one["sample"], count % 15);
    EXPECT_EQ(one["explanation"], KnownExplanation(vectors.data() + count / 15 * kTinyWidth));
  }
  EXPECT_EQ(count, kRows * 15);
}

TEST_F(RemoteSlow, AVllmReadsTheTensor) {
  const FakeServer server(*tiny_, {{"kind", "vllm"}, {"spoil", {"length"}}});
  const RunResult run = RunNla({"verbalize", "--av", At("av_known"), "--activations", At("heldout.parquet"),
                                "--threads", "1", "--json", "--limit", "5", "--server", server.url()});
  ASSERT_EQ(run.code, 0) << run.err;
  const std::vector<float> vectors = RandomVectors(kRows, 3);
  const json rows = json::parse(run.out)["rows"];
  ASSERT_EQ(rows.size(), 5U);
  for (int64_t i = 0; i < 5; ++i) {
    EXPECT_EQ(rows[i]["explanation"], KnownExplanation(vectors.data() + i * kTinyWidth));
    EXPECT_EQ(rows[i]["finish_reason"], "stop");
  }
  const json asked = server.Requests().at(0);
  EXPECT_EQ(asked["model"], "the-model");
  EXPECT_EQ(asked["return_token_ids"], true);
  EXPECT_EQ(asked["embeds"], json::array({"prompt_embeds"}));
  EXPECT_FALSE(asked.contains("prompt"));
}

TEST_F(RemoteSlow, WhatIsWrongIsSaid) {
  const ServeProcess server(Serving({"--api-key", "open"}));
  EXPECT_THAT(Error({"--server", Url(server)}), AllOf(HasSubstr("wants a key"), HasSubstr("--api-key")));
  EXPECT_THAT(Error({"--server", Url(server), "--api-key", "shut"}), HasSubstr("wants another key"));
  Json({"--server", Url(server), "--api-key", "open", "--limit", "1"});
  EXPECT_THAT(Error({"--server", "127.0.0.1:1", "--retries", "0"}), HasSubstr("127.0.0.1:1"));
  EXPECT_THAT(Error({"--server", Url(server), "--api-key", "open", "--server-kind", "hal"}, 2), HasSubstr("hal"));
}

}  // namespace
}  // namespace nla
