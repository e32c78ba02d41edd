// One record is a line to encode, ids to decode, or a conversation to render.
#include "text/oracle_testing.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "nla/error.h"
#include "text/stream_decoder.h"

namespace nla::testing {
namespace {

using nlohmann::json;
using Ids = std::vector<TokenId>;

std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2)
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

void CheckDecode(const json& record, const Tokenizer& tokenizer, const Ids& ids) {
  EXPECT_EQ(tokenizer.Decode(ids, true), record["decoded"].get<std::string>());
  EXPECT_EQ(tokenizer.Decode(ids, false), record["decoded_all"].get<std::string>());
  EXPECT_EQ(StreamAll(tokenizer, ids, true), record["decoded"].get<std::string>());
  EXPECT_EQ(StreamAll(tokenizer, ids, false), record["decoded_all"].get<std::string>());
}

void CheckLine(const json& record, const Tokenizer& tokenizer) {
  const std::string text = record.contains("hex") ? FromHex(record["hex"]) : record["text"].get<std::string>();
  EXPECT_EQ(tokenizer.Encode(text), record["ids"].get<Ids>());
  const Ids special_ids = record["special_ids"].get<Ids>();
  EXPECT_EQ(tokenizer.Encode(text, {.parse_special = true}), special_ids);
  CheckDecode(record, tokenizer, special_ids);
}

// "plain" and "special" hold ids and offsets in characters, with what the post-processor adds.
void CheckOffsets(const json& record, const Tokenizer& tokenizer) {
  const std::string text = record["text"];
  std::vector<size_t> starts;  // of characters
  for (size_t i = 0; i < text.size(); ++i) {
    if ((text[i] & 0xC0) != 0x80) starts.push_back(i);
  }
  starts.push_back(text.size());
  for (const bool parse_special : {false, true}) {
    const json& wanted = record[parse_special ? "special" : "plain"];
    EXPECT_EQ(tokenizer.Encode(text, {.parse_special = parse_special}), wanted["ids"].get<Ids>());
    const Encoding encoding = tokenizer.EncodeWithOffsets(text, {.parse_special = parse_special});
    EXPECT_EQ(encoding.ids, wanted["ids"].get<Ids>());
    ASSERT_EQ(encoding.offsets.size(), wanted["offsets"].size());
    for (size_t i = 0; i < encoding.offsets.size(); ++i) {
      EXPECT_EQ(encoding.offsets[i].begin, starts.at(wanted["offsets"][i][0].get<size_t>())) << "token " << i;
      EXPECT_EQ(encoding.offsets[i].end, starts.at(wanted["offsets"][i][1].get<size_t>())) << "token " << i;
    }
  }
  CheckDecode(record, tokenizer, record["special"]["ids"].get<Ids>());
}

void CheckChat(const json& record, const Tokenizer& tokenizer, const ChatFormat& chat) {
  std::vector<ChatMessage> messages;
  for (const json& message : record["messages"]) messages.push_back({message["role"], message["content"]});
  const bool prompt = record["add_generation_prompt"];
  EXPECT_EQ(chat.RenderText(messages, prompt), record["text"].get<std::string>());
  EXPECT_EQ(chat.Encode(tokenizer, messages, prompt), record["ids"].get<Ids>());
  EXPECT_EQ(chat.Encode(tokenizer, messages, prompt, true), record["special_ids"].get<Ids>());
}

}  // namespace

OracleCounts CheckRecords(const std::filesystem::path& file, const Tokenizer& tokenizer,
                          const std::function<const ChatFormat&(const std::string&)>& chat_of) {
  std::ifstream in(file);
  EXPECT_TRUE(in.good()) << file;
  OracleCounts counts;
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    const json record = json::parse(line);
    SCOPED_TRACE(file.filename().string() + ":" + std::to_string(number));
    if (record.contains("messages")) {
      CheckChat(record, tokenizer, chat_of(record.value("template", "")));
      ++counts.chats;
    } else if (record.contains("plain")) {
      CheckOffsets(record, tokenizer);
      ++counts.lines;
    } else if (record.contains("decode")) {
      CheckDecode(record, tokenizer, record["decode"].get<Ids>());
      ++counts.decodes;
    } else if (record.contains("ids")) {
      CheckLine(record, tokenizer);
      ++counts.lines;
    }
    if (::testing::Test::HasFailure()) {
      ADD_FAILURE() << "first differing record: " << line.substr(0, 2000);
      break;
    }
  }
  return counts;
}

std::string StreamAll(const Tokenizer& tokenizer, std::span<const TokenId> ids, bool skip_special) {
  StreamDecoder decoder(tokenizer, skip_special);
  std::string text;
  for (const TokenId id : ids) text += decoder.Push(id);
  return text + decoder.Flush();
}

std::string ErrorOf(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "no error was thrown";
  return "";
}

}  // namespace nla::testing
