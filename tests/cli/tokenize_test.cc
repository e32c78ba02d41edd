// `nla tokenize` as typed: ids and pieces, JSON lines, chat, and its complaints. The ids themselves are tests/text's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/run_testing.h"

namespace nla {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kModel = NLA_SOURCE_DIR "/tests/text/golden";

std::vector<std::string> Tokenize(std::vector<std::string> more) {
  std::vector<std::string> arguments = {"tokenize", "--model", kModel};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST(TokenizeCommand, PrintsOneJsonDocument) {
  const RunResult run = RunNla(Tokenize({"--json", "at €<|im_end|>"}));
  EXPECT_EQ(run.code, 0) << run.err;
  const json document = json::parse(run.out);
  std::string pieces;
  for (const json& piece : document["pieces"]) pieces += piece.get<std::string>();
  EXPECT_EQ(document["ids"].size(), document["pieces"].size());
  EXPECT_EQ(pieces, "at \uFFFD\uFFFD\uFFFD<|im_end|>");  // the euro sign is three tokens here
  EXPECT_GT(document["pieces"].size(), 8U);
}

TEST(TokenizeCommand, ParsesSpecialSpellingsOnlyWhenAsked) {
  const json text = json::parse(RunNla(Tokenize({"--json", "<|im_end|>"})).out);
  const json parsed = json::parse(RunNla(Tokenize({"--json", "--parse-special", "<|im_end|>"})).out);
  EXPECT_GT(text["ids"].size(), 1U);
  EXPECT_EQ(parsed, json::parse(R"({"ids": [2], "pieces": ["<|im_end|>"]})"));
}

TEST(TokenizeCommand, ShowsATokenALineToPeople) {
  const RunResult run = RunNla(Tokenize({"--parse-special", "<|im_start|>\n"}));
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("       1  \"<|im_start|>\"\n"));
  EXPECT_THAT(run.out, HasSubstr("\"\\n\"\n"));
}

TEST(TokenizeCommand, EncodesAUserTurn) {
  const json document = json::parse(RunNla(Tokenize({"--json", "--chat", "hi"})).out);
  std::string text;
  for (const json& piece : document["pieces"]) text += piece.get<std::string>();
  EXPECT_EQ(text, "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
}

TEST(TokenizeCommand, ReadsJsonLines) {
  const std::string program = std::string(NLA_PROGRAM) + " tokenize --model " + kModel + " --jsonl -";
  const RunResult run = RunShell(R"(printf '"word"\n"\\u00e9\\n"\n""\n' | )" + program);
  EXPECT_EQ(run.code, 0) << run.err;
  std::istringstream lines(run.out);
  std::vector<json> documents;
  for (std::string line; std::getline(lines, line);) documents.push_back(json::parse(line));
  ASSERT_EQ(documents.size(), 3U);
  EXPECT_EQ(documents[0]["pieces"], json::array({"word"}));
  EXPECT_EQ(documents[2]["ids"], json::array());

  const RunResult bad = RunShell(R"(printf '"a"\n{"text": 1}\n' | )" + program);
  EXPECT_EQ(bad.code, 1);
  EXPECT_THAT(bad.err, HasSubstr("standard input:2: not a JSON string"));
}

TEST(TokenizeCommand, RefusesWrongUsageAndFiles) {
  for (const std::vector<std::string>& more : {std::vector<std::string>{}, {"text", "--jsonl", "-"}}) {
    const RunResult run = RunNla(Tokenize(more));
    EXPECT_EQ(run.code, 2);
    EXPECT_THAT(run.out, IsEmpty());
    EXPECT_THAT(run.err, HasSubstr("give TEXT or --jsonl"));
  }
  const RunResult file = RunNla(Tokenize({"--jsonl", "/nowhere.jsonl"}));
  EXPECT_EQ(file.code, 1);
  EXPECT_THAT(file.err, HasSubstr("/nowhere.jsonl"));
  const RunResult model = RunNla({"tokenize", "--model", "/nowhere", "x"});
  EXPECT_EQ(model.code, 1);
  EXPECT_THAT(model.err, HasSubstr("/nowhere"));
}

}  // namespace
}  // namespace nla
