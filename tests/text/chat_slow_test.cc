// The chat templates of real checkpoints against transformers, run now: texts, ids, and errors. The tokenizers are
// fetched by tools/fetch_tokenizers.sh.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "nla/error.h"
#include "text/chat.h"
#include "text/oracle_testing.h"
#include "text/tokenizer.h"

namespace nla {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;
using ::testing::HasSubstr;
using Ids = std::vector<TokenId>;

struct Output {
  int code = 0;
  std::string text = {};
};

Output RunCommand(const std::string& command) {
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return {.code = -1};
  Output output;
  char buffer[4096];
  while (const size_t count = std::fread(buffer, 1, sizeof(buffer), pipe)) output.text.append(buffer, count);
  output.code = ::pclose(pipe);
  while (output.text.ends_with('\n')) output.text.pop_back();
  return output;
}

// The messages of a record; what is neither role nor content is extra.
std::vector<ChatMessage> MessagesOf(const ordered_json& record) {
  std::vector<ChatMessage> messages;
  for (ordered_json message : record["messages"]) {
    ChatMessage made{message["role"], message["content"]};
    message.erase("role");
    message.erase("content");
    if (!message.empty()) made.extra = message.dump();
    messages.push_back(std::move(made));
  }
  return messages;
}

ChatOptions OptionsOf(const ordered_json& options) {
  ChatOptions made;
  made.date = options.value("date", "");
  if (options.contains("tools")) made.tools = options["tools"].dump();
  if (options.contains("variables")) made.variables = options["variables"].dump();
  return made;
}

struct Counts {
  int texts = 0;
  int refusals = 0;
  int ids = 0;
};

void CheckRecord(const ordered_json& record, const fs::path& directory, const Tokenizer& tokenizer, Counts& counts) {
  const std::vector<ChatMessage> messages = MessagesOf(record);
  const ChatFormat chat = ChatFormat::Load(directory, OptionsOf(record["options"]));
  const bool prompt = record["add_generation_prompt"];
  if (record.contains("raises")) {
    ++counts.refusals;
    const std::string error = testing::ErrorOf([&] { chat.RenderText(messages, prompt); });
    const std::string words = record["raises"];
    const bool own_words = words.find("has no") == words.npos;  // jinja2's are put otherwise
    EXPECT_THAT(error, HasSubstr(own_words ? words : "has no"));
    return;
  }
  ++counts.texts;
  EXPECT_EQ(chat.RenderText(messages, prompt), record["text"].get<std::string>());
  EXPECT_EQ(chat.Encode(tokenizer, messages, prompt, true), record["special_ids"].get<Ids>());
  if (!record.contains("ids")) return;
  ++counts.ids;
  EXPECT_EQ(chat.Encode(tokenizer, messages, prompt), record["ids"].get<Ids>());
}

Counts CheckAll(const fs::path& directory) {
  Counts counts;
  const fs::path out = fs::path(::testing::TempDir()) / ("chat_templates_" + std::to_string(::getpid()) + ".jsonl");
  const Output oracle = RunCommand(std::string(NLA_PYTHON) + " " + NLA_SOURCE_DIR +
                                   "/tools/oracles/chat_templates.py " + directory.string() + " " + out.string());
  EXPECT_EQ(oracle.code, 0);
  const Tokenizer tokenizer = Tokenizer::Load(directory);
  std::ifstream in(out);
  std::string line;
  while (std::getline(in, line) && !::testing::Test::HasFailure()) {
    SCOPED_TRACE(line.substr(0, 1500));
    CheckRecord(ordered_json::parse(line), directory, tokenizer, counts);
  }
  fs::remove(out);
  return counts;
}

struct Family {
  const char* name;
  const char* end_of_turn;
  const char* first_turn;  // what the rendering of one user turn "Hi" holds
  int refusals;
};

class ChatFamilyTest : public ::testing::TestWithParam<Family> {};

TEST_P(ChatFamilyTest, EqualsTransformers) {
  const Output fetched = RunCommand(std::string(NLA_SOURCE_DIR) + "/tools/fetch_tokenizers.sh " + GetParam().name);
  if (fetched.code != 0) GTEST_SKIP() << "tools/fetch_tokenizers.sh cannot fetch " << GetParam().name;
  const fs::path directory = fs::path(fetched.text) / GetParam().name;
  const ChatFormat chat = ChatFormat::Load(directory);
  EXPECT_EQ(chat.end_of_turn(), GetParam().end_of_turn);
  const std::vector<ChatMessage> messages = {{"user", "Hi"}};
  EXPECT_THAT(chat.RenderText(messages, true), HasSubstr(GetParam().first_turn));
  const Counts counts = CheckAll(directory);
  EXPECT_EQ(counts.texts + counts.refusals, 232);
  EXPECT_EQ(counts.refusals, GetParam().refusals);
  EXPECT_GT(counts.ids, 150);
}

INSTANTIATE_TEST_SUITE_P(
    Families, ChatFamilyTest,
    ::testing::Values(Family{"qwen2_5", "<|im_end|>", "You are Qwen, created by Alibaba Cloud.", 2},
                      Family{"qwen3", "<|im_end|>", "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", 2},
                      Family{"llama3", "<|eot_id|>", "<|begin_of_text|><|start_header_id|>user", 0},
                      Family{"llama3_2", "<|eot_id|>", "Today Date: 26 Jul 2024\n\n<|eot_id|>", 6},
                      Family{"gemma3", "<end_of_turn>", "<bos><start_of_turn>user\nHi<end_of_turn>\n", 14}),
    [](const auto& param) { return param.param.name; });

TEST(ChatSlowTest, SmolLm2EqualsTransformers) {
  const Output base = RunCommand("NLA_PROGRAM=" NLA_PROGRAM " " NLA_SOURCE_DIR "/tools/base_model.sh");
  ASSERT_EQ(base.code, 0);
  EXPECT_EQ(ChatFormat::Load(base.text).end_of_turn(), "<|im_end|>");
  const Counts counts = CheckAll(base.text);
  EXPECT_EQ(counts.texts + counts.refusals, 232);
  EXPECT_GT(counts.ids, 150);
}

}  // namespace
}  // namespace nla
