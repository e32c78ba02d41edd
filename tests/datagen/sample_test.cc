// A sampled corpus on the tiny checkpoint: each text depends on its prompt and the seed alone, whatever was in flight
// beside it or done before; and what is refused.
#include "datagen/sample.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "data/data_testing.h"
#include "model/tiny_checkpoint.h"

namespace nla {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

constexpr int64_t kPrompts = 9;

class SampleStage : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = new TestFolder;
    WriteTinyCheckpoint(*shared_ / "model");
    model_ = new LanguageModel(LanguageModel::Load(*shared_ / "model", {}));
    std::string lines;
    for (int64_t i = 0; i < kPrompts; ++i) lines += json{{"prompt", Prompt(i)}}.dump() + "\n";
    WriteFileForTest(*shared_ / "prompts.jsonl", lines);
  }
  static void TearDownTestSuite() {
    delete model_;
    delete shared_;
  }
  static std::string Prompt(int64_t i) { return std::string(static_cast<size_t>(i), 'w') + " rain?"; }

  SampleOptions Options(const std::string& name = "texts.jsonl") const {
    SampleOptions options;
    options.prompts = *shared_ / "prompts.jsonl";
    options.out = folder_ / name;
    options.sampling.max_new_tokens = 12;
    options.seed = 3;
    options.slots = 4;
    return options;
  }
  static std::vector<json> Lines(const fs::path& path) {
    std::vector<json> lines;
    std::ifstream in(path);
    for (std::string line; std::getline(in, line);) lines.push_back(json::parse(line));
    return lines;
  }
  fs::path PartialPath() const { return folder_ / "texts.jsonl.partial"; }
  // The work file of a run that ended after its first text, by a prompt that is too long for the model.
  std::string StoppedWork() const {
    SampleOptions options = Options();
    options.slots = 1;
    options.prompts = folder_ / "prompts.jsonl";
    WriteFileForTest(options.prompts,
                     json{{"prompt", "rain"}}.dump() + "\n" + json{{"prompt", std::string(600, 'w')}}.dump() + "\n");
    EXPECT_ANY_THROW(SampleCorpus(*model_, options));
    const std::string work = ReadFile(PartialPath());
    fs::remove(PartialPath());
    fs::remove(options.prompts);
    return work;
  }
  std::string RunKey() const { return StoppedWork().substr(0, StoppedWork().find("{\"index\"")); }

  static TestFolder* shared_;  // never written to by a test
  static LanguageModel* model_;
  TestFolder folder_;
};
TestFolder* SampleStage::shared_ = nullptr;
LanguageModel* SampleStage::model_ = nullptr;

TEST_F(SampleStage, WritesATextForEachPromptInOrder) {
  const SampleReport report = SampleCorpus(*model_, Options());
  const auto lines = Lines(Options().out);
  ASSERT_EQ(lines.size(), static_cast<size_t>(kPrompts));
  for (int64_t i = 0; i < kPrompts; ++i) EXPECT_EQ(lines[i].at("prompt"), Prompt(i));
  EXPECT_EQ(report.documents, kPrompts);
  EXPECT_GT(report.tokens, kPrompts);
  EXPECT_LE(report.tokens, 12 * kPrompts);
  EXPECT_FALSE(fs::exists(PartialPath()));
}

TEST_F(SampleStage, ATextDependsOnItsPromptAndTheSeedAlone) {
  SampleCorpus(*model_, Options());
  SampleOptions few = Options("few.jsonl");
  few.limit = 5;
  few.slots = 2;
  SampleCorpus(*model_, few);
  auto whole = Lines(Options().out);
  whole.resize(5);
  EXPECT_EQ(Lines(few.out), whole);
  SampleOptions other = Options("other.jsonl");
  other.seed = 4;
  SampleCorpus(*model_, other);
  EXPECT_NE(Lines(other.out), Lines(Options().out));
}

// What a kill leaves: some texts, the last line torn.
TEST_F(SampleStage, GoesOnAfterAKill) {
  SampleCorpus(*model_, Options());
  const auto whole = Lines(Options().out);
  fs::remove(Options().out);
  const json kept = {{"index", 2}, {"prompt", Prompt(2)}, {"text", "from before"}, {"tokens", 2}};
  const json other_prompt = {{"index", 3}, {"prompt", "another"}, {"text", "stale"}, {"tokens", 1}};
  const json nowhere = {{"index", -1}, {"prompt", Prompt(0)}, {"text", "stale"}};
  const json no_prompt = {{"index", 4}, {"text", "stale"}};
  const json no_text = {{"index", 5}, {"prompt", Prompt(5)}, {"text", 7}};
  std::string work = RunKey();
  for (const json& line : {kept, other_prompt, nowhere, no_prompt, no_text}) work += line.dump() + "\n";
  WriteFileForTest(PartialPath(), work + R"({"index": 1, "prompt": "w rain)");

  const SampleReport report = SampleCorpus(*model_, Options());
  EXPECT_EQ(report.documents, kPrompts);
  auto lines = Lines(Options().out);
  ASSERT_EQ(lines.size(), whole.size());
  EXPECT_EQ(lines[2].at("text"), "from before");
  lines[2] = whole[2];
  EXPECT_EQ(lines, whole);
  EXPECT_FALSE(fs::exists(PartialPath()));
}

TEST_F(SampleStage, KeepsAFinishedCorpusUnlessToldOtherwise) {
  SampleCorpus(*model_, Options());
  SampleOptions other = Options();
  other.seed = 4;
  EXPECT_NLA_ERROR(SampleCorpus(*model_, other), "--replace");
  const auto before = Lines(other.out);
  other.replace = true;
  SampleCorpus(*model_, other);
  EXPECT_NE(Lines(other.out), before);
}

TEST_F(SampleStage, RefusesToMixRuns) {
  WriteFileForTest(PartialPath(), R"({"run_key": "another"})"
                                  "\n");
  EXPECT_NLA_ERROR(SampleCorpus(*model_, Options()), "holds the unfinished work of another run");
  EXPECT_TRUE(fs::exists(PartialPath()));
}

TEST_F(SampleStage, KeepsFinishedTextsWhenALaterPromptDoesNotFit) {
  EXPECT_THAT(StoppedWork(), AllOf(HasSubstr("run_key"), HasSubstr("{\"index\":0,")));
}

TEST_F(SampleStage, RefusesBadPrompts) {
  const TestFolder input;
  const std::pair<const char*, const char*> cases[] = {{"", "holds no prompts"},
                                                       {"\n\n", "holds no prompts"},
                                                       {"{\"prompt\": \"a\"}\n{\"text\": \"b\"}\n", "prompts.jsonl:2"},
                                                       {"{\"prompt\": 3}\n", "prompts.jsonl:1"},
                                                       {"nonsense\n", "prompts.jsonl:1"}};
  for (const auto& [text, part] : cases) {
    WriteFileForTest(input / "prompts.jsonl", text);
    SampleOptions options = Options();
    options.prompts = input / "prompts.jsonl";
    EXPECT_NLA_ERROR(SampleCorpus(*model_, options), part);
  }
  SampleOptions options = Options();
  options.prompts = input / "none.jsonl";
  EXPECT_NLA_ERROR(SampleCorpus(*model_, options), "none.jsonl");
  EXPECT_TRUE(fs::is_empty(folder_.path()));
}

}  // namespace
}  // namespace nla
