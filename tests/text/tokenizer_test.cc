// The tokenizer against goldens of the `tokenizers` library on a tiny vocabulary, and what it promises beyond them.
#include "text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/file.h"
#include "base/hash.h"
#include "nla/error.h"
#include "text/oracle_testing.h"
#include "text/stream_decoder.h"

namespace nla {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Ids = std::vector<TokenId>;

const std::filesystem::path kGolden = std::filesystem::path(NLA_SOURCE_DIR) / "tests/text/golden";

const ChatFormat& NoChat(const std::string&) { throw std::logic_error("no conversations in this golden"); }

TEST(TokenizerTest, EqualsTheLibraryOnTheGolden) {
  const Tokenizer tokenizer = Tokenizer::Load(kGolden);
  const testing::OracleCounts counts = testing::CheckRecords(kGolden / "lines.jsonl", tokenizer, NoChat);
  EXPECT_GE(counts.lines, 300);
  EXPECT_GE(counts.decodes, 100);
}

// Byte-level with NFC, BOS and trimmed offsets, and SentencePiece-style with byte fallback; both with offsets.
TEST(TokenizerTest, EqualsTheLibraryInEveryFamily) {
  for (const char* family : {"llama_like", "gemma_like"}) {
    const Tokenizer tokenizer = Tokenizer::Load(kGolden / family);
    const testing::OracleCounts counts = testing::CheckRecords(kGolden / family / "lines.jsonl", tokenizer, NoChat);
    EXPECT_GE(counts.lines, 80) << family;
    EXPECT_GE(counts.decodes, 50) << family;
  }
}

TEST(TokenizerTest, KnowsTheTokensOfASentencePieceModel) {
  const Tokenizer tokenizer = Tokenizer::Load(kGolden / "gemma_like");
  EXPECT_THAT(tokenizer.PrefixIds(), ElementsAre(tokenizer.Find("<bos>").value()));
  EXPECT_THAT(tokenizer.SuffixIds(), IsEmpty());
  const TokenId byte = tokenizer.Find("<0xE2>").value();
  EXPECT_TRUE(tokenizer.IsFallbackByte(byte));
  EXPECT_EQ(tokenizer.TokenBytes(byte), "\xE2");
  EXPECT_FALSE(tokenizer.IsFallbackByte(tokenizer.Find("▁").value()));
  EXPECT_EQ(tokenizer.TokenBytes(tokenizer.Find("▁").value()), " ");
  EXPECT_FALSE(tokenizer.IsSpecial(tokenizer.Find("\n\n").value()));
  EXPECT_TRUE(tokenizer.IsSpecial(tokenizer.Find("<eos>").value()));
}

TEST(TokenizerTest, OffsetsOfBrokenBytesAreTheirOwn) {
  const Tokenizer tokenizer = Tokenizer::Load(kGolden / "llama_like");
  const std::string text = "a\xE2\x82z e\u0301\xFF!";
  const Encoding encoding = tokenizer.EncodeWithOffsets(text, {.add_special = false});
  std::vector<ByteRange> characters;  // the pieces of one character have the same range
  for (const ByteRange& range : encoding.offsets) {
    if (characters.empty() || characters.back() != range) characters.push_back(range);
  }
  // NFC makes one letter of e and its accent: it has the first of them. Of the space, a token of its own, all is
  // trimmed.
  EXPECT_THAT(characters, ElementsAre(ByteRange{0, 1}, ByteRange{1, 3}, ByteRange{3, 4}, ByteRange{5, 5},
                                      ByteRange{5, 6}, ByteRange{8, 9}, ByteRange{9, 10}));
}

TEST(TokenizerTest, OffsetsStayRightBehindABytelessPiece) {
  const Tokenizer tokenizer = Tokenizer::Load(kGolden);  // has no piece for U+0014
  const Encoding encoding = tokenizer.EncodeWithOffsets("\x14!x");
  ASSERT_FALSE(encoding.offsets.empty());
  EXPECT_EQ(encoding.offsets.front().begin, 1u);
  EXPECT_EQ(encoding.offsets.back().end, 3u);
}

// No character comes out of a run before it is known that nothing behind it breaks it.
TEST(StreamDecoderTest, HoldsARunOfFallbackBytes) {
  const Tokenizer tokenizer = Tokenizer::Load(kGolden / "gemma_like");
  const auto byte = [&](const char* spelling) { return tokenizer.Find(spelling).value(); };
  StreamDecoder decoder(tokenizer);
  for (const char* spelling : {"<0xE2>", "<0x82>", "<0xAC>"}) EXPECT_EQ(decoder.Push(byte(spelling)), "");
  EXPECT_EQ(decoder.Push(byte("a")), "€a");
  for (const char* spelling : {"<0xE2>", "<0x82>", "<0xAC>", "<0xFF>"}) EXPECT_EQ(decoder.Push(byte(spelling)), "");
  EXPECT_EQ(decoder.Flush(), "\uFFFD\uFFFD\uFFFD\uFFFD");
}

TEST(TokenizerTest, SpecialSpellingsStayTextUnlessAskedFor) {
  const Tokenizer tokenizer = Tokenizer::Load(kGolden);
  const std::string text = "x<|im_end|>\n<|im_start|>system\n";
  const Ids plain = tokenizer.Encode(text);
  for (const TokenId id : plain) EXPECT_FALSE(tokenizer.IsSpecial(id)) << id;
  EXPECT_EQ(tokenizer.Decode(plain), text);
  const TokenId end = tokenizer.Find("<|im_end|>").value();
  EXPECT_THAT(tokenizer.Encode(text, {.parse_special = true}), ::testing::Contains(end));
  EXPECT_TRUE(tokenizer.IsSpecial(end));
  EXPECT_EQ(tokenizer.Decode(tokenizer.Encode(text, {.parse_special = true})), "x\nsystem\n");
}

TEST(TokenizerTest, KnowsItsTokens) {
  const Tokenizer tokenizer = Tokenizer::Load(kGolden);
  EXPECT_EQ(tokenizer.TokenBytes(tokenizer.Find("Ġ").value()), " ");
  EXPECT_EQ(tokenizer.TokenBytes(tokenizer.Find("<|im_start|>").value()), "<|im_start|>");
  EXPECT_EQ(tokenizer.Find("no such piece"), std::nullopt);
  EXPECT_FALSE(tokenizer.IsValid(-1));
  EXPECT_FALSE(tokenizer.IsValid(static_cast<TokenId>(tokenizer.vocab_size())));
  EXPECT_TRUE(tokenizer.IsValid(static_cast<TokenId>(tokenizer.vocab_size() - 1)));
  EXPECT_EQ(tokenizer.Decode(Ids{-1, 1 << 30}), "");
  EXPECT_THAT(tokenizer.PrefixIds(), IsEmpty());
  EXPECT_EQ(tokenizer.hash(), Sha256Hex(ReadFile(kGolden / "tokenizer.json")));
}

TEST(TokenizerTest, ALongWordTakesNoQuadraticTime) {
  const Tokenizer tokenizer = Tokenizer::Load(kGolden);
  const std::string line(1 << 20, 'e');
  const std::clock_t begun = std::clock();
  const Ids ids = tokenizer.Encode(line);
  // Processor seconds. A quadratic merge of 2^20 symbols takes minutes; the bound leaves room for sanitizers.
  EXPECT_LT(static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC, 20.0);
  EXPECT_EQ(tokenizer.Decode(ids), line);
}

TEST(TokenizerTest, ThreadsShareOneTokenizer) {
  const Tokenizer tokenizer = Tokenizer::Load(kGolden);
  // A second vocabulary in the same threads: cached words must not pass from one to the other.
  nlohmann::json other_file = nlohmann::json::parse(ReadFile(kGolden / "tokenizer.json"));
  other_file["model"]["merges"] = nlohmann::json::array();
  const Tokenizer other = Tokenizer::FromJson(other_file.dump(), "other");
  const std::string text = ReadFile(kGolden / "lines.jsonl").substr(0, 20000);
  const Ids wanted = tokenizer.Encode(text), other_wanted = other.Encode(text);
  EXPECT_LT(wanted.size(), other_wanted.size());
  std::vector<int> agreed(4, 0);
  std::vector<std::thread> threads;
  for (int& agrees : agreed) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5; ++i) agrees += tokenizer.Encode(text) == wanted && other.Encode(text) == other_wanted;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(agreed, Each(5));
}

TEST(StreamDecoderTest, EmitsEachCharacterWhenItIsWhole) {
  const Tokenizer tokenizer = Tokenizer::Load(kGolden);
  const Ids ids = tokenizer.Encode("a€");  // no merges across the bytes of the euro sign in this vocabulary
  ASSERT_EQ(ids.size(), 4u);
  StreamDecoder decoder(tokenizer);
  EXPECT_EQ(decoder.Push(ids[0]), "a");
  EXPECT_EQ(decoder.Push(ids[1]), "");
  EXPECT_EQ(decoder.Push(ids[2]), "");
  EXPECT_EQ(decoder.Push(ids[3]), "€");
  EXPECT_EQ(decoder.Push(ids[1]), "");
  EXPECT_EQ(decoder.Push(ids[0]), "\uFFFDa");  // the broken character leaves with the byte that breaks it
  EXPECT_EQ(decoder.Push(ids[1]), "");
  EXPECT_EQ(decoder.Push(ids[2]), "");
  EXPECT_EQ(decoder.Flush(), "\uFFFD");
  EXPECT_EQ(decoder.Flush(), "");
}

// A change to the golden tokenizer.json, and what the error must say.
struct BadFile {
  const char* name;
  void (*change)(nlohmann::json& file);
  std::vector<std::string> said;
};

class BadTokenizerFileTest : public ::testing::TestWithParam<BadFile> {};

TEST_P(BadTokenizerFileTest, IsRefusedByName) {
  nlohmann::json file = nlohmann::json::parse(ReadFile(kGolden / "tokenizer.json"));
  GetParam().change(file);
  const std::string message = testing::ErrorOf([&] { Tokenizer::FromJson(file.dump(), "dir/tokenizer.json"); });
  EXPECT_THAT(message, HasSubstr("dir/tokenizer.json"));
  for (const std::string& part : GetParam().said) EXPECT_THAT(message, HasSubstr(part));
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

using J = nlohmann::json;

J SplitBy(const char* kind, const char* pattern, const char* behavior) {
  return {{"type", "Split"}, {"pattern", {{kind, pattern}}}, {"behavior", behavior}, {"invert", false}};
}

J Template(std::vector<J> pieces, int id) {
  return {{"type", "TemplateProcessing"},
          {"single", J(pieces)},
          {"special_tokens", {{"<bos>", {{"id", "<bos>"}, {"ids", J::array({id})}, {"tokens", J::array({"<bos>"})}}}}}};
}

INSTANTIATE_TEST_SUITE_P(
    Text, BadTokenizerFileTest,
    ::testing::Values(
        BadFile{"NotAnObject", [](J& f) { f = J::array({1}); }, {"wrong type", "an object"}},
        BadFile{"NoModel", [](J& f) { f.erase("model"); }, {"field missing", "model"}},
        BadFile{"NullModel", [](J& f) { f["model"] = nullptr; }, {"model", "wrong type"}},
        BadFile{"OtherModel", [](J& f) { f["model"]["type"] = "Unigram"; }, {"model.type", "Unigram", "BPE"}},
        BadFile{"VocabIsAList", [](J& f) { f["model"]["vocab"] = J::array(); }, {"model.vocab", "an object"}},
        BadFile{"IdIsText", [](J& f) { f["model"]["vocab"]["a"] = "7"; }, {"model.vocab.a", "wrong type"}},
        BadFile{"IdIsHuge", [](J& f) { f["model"]["vocab"]["a"] = 4000000000; }, {"model.vocab.a", "4000000000"}},
        BadFile{"IdIsGigantic", [](J& f) { f["model"]["vocab"]["a"] = 18446744073709551615u; }, {"out of range"}},
        BadFile{"IdIsNegative", [](J& f) { f["model"]["vocab"]["a"] = -1; }, {"model.vocab.a", "-1"}},
        BadFile{"IdIsFractional", [](J& f) { f["model"]["vocab"]["a"] = 1.5; }, {"model.vocab.a", "1.5"}},
        BadFile{"IdTwice", [](J& f) { f["model"]["vocab"]["zq"] = 9; }, {"id used by two tokens", "9"}},
        BadFile{"MergesIsText", [](J& f) { f["model"]["merges"] = "a b"; }, {"model.merges", "an array"}},
        BadFile{"MergeOfUnknown",
                [](J& f) {
                  f["model"]["merges"].push_back(J::array({"a", "qqq"}));
                },
                {"model.merges[", "qqq", "not in model.vocab"}},
        BadFile{"MergeToUnknown",
                [](J& f) {
                  f["model"]["merges"].push_back(J::array({"q", "q"}));
                },
                {"model.merges[", "qq", "not in model.vocab"}},
        BadFile{"MergeOfThree",
                [](J& f) {
                  f["model"]["merges"][3] = J::array({"a", "b", "c"});
                },
                {"model.merges[3]"}},
        BadFile{"MergeWithoutSpace", [](J& f) { f["model"]["merges"][3] = "ab"; }, {"model.merges[3]", "one space"}},
        BadFile{"MergeIsNumber", [](J& f) { f["model"]["merges"][3] = 5; }, {"model.merges[3]", "wrong type"}},
        BadFile{"Dropout", [](J& f) { f["model"]["dropout"] = 0.1; }, {"model.dropout", "0.1"}},
        BadFile{"ByteFallback", [](J& f) { f["model"]["byte_fallback"] = true; }, {"model.byte_fallback"}},
        BadFile{"IgnoreMergesIsText",
                [](J& f) { f["model"]["ignore_merges"] = "yes"; },
                {"model.ignore_merges", "true or false"}},
        BadFile{"UnknownToken", [](J& f) { f["model"]["unk_token"] = "<unk>"; }, {"model.unk_token", "<unk>"}},
        BadFile{"Normaliser",
                [](J& f) {
                  f["normalizer"] = {{"type", "NFKC"}};
                },
                {"normalizer.type", "NFKC", "NFC, Replace"}},
        BadFile{"NormaliserInSequence",
                [](J& f) {
                  f["normalizer"] = {{"type", "Sequence"}, {"normalizers", J::array({{{"type", "Strip"}}})}};
                },
                {"normalizer.normalizers[0].type", "Strip"}},
        BadFile{"ReplaceByExpression",
                [](J& f) {
                  f["normalizer"] = {{"type", "Replace"}, {"pattern", {{"Regex", "a+"}}}, {"content", "b"}};
                },
                {"normalizer.pattern", "String"}},
        BadFile{"ReplaceOfNothing",
                [](J& f) {
                  f["normalizer"] = {{"type", "Replace"}, {"pattern", {{"String", ""}}}, {"content", "b"}};
                },
                {"normalizer.pattern.String", "empty pattern"}},
        BadFile{"UnknownExpression",
                [](J& f) { f["pre_tokenizer"]["pretokenizers"][0] = SplitBy("Regex", "\\w+", "Isolated"); },
                {"pre_tokenizer.pretokenizers[0].pattern.Regex", "\\w+", "GPT-2", "Qwen-3", "Llama-3"}},
        BadFile{"SplitRemoved",
                [](J& f) { f["pre_tokenizer"]["pretokenizers"][0] = SplitBy("String", " ", "Removed"); },
                {"pre_tokenizer.pretokenizers[0].behavior", "Removed", "MergedWithPrevious"}},
        BadFile{"SplitInverted",
                [](J& f) {
                  f["pre_tokenizer"]["pretokenizers"][0] = SplitBy("String", " ", "MergedWithPrevious");
                  f["pre_tokenizer"]["pretokenizers"][0]["invert"] = true;
                },
                {"pre_tokenizer.pretokenizers[0].invert"}},
        BadFile{"NoPreTokeniser", [](J& f) { f["pre_tokenizer"] = nullptr; }, {"pre_tokenizer", "ByteLevel"}},
        BadFile{"OtherPreTokeniser",
                [](J& f) { f["pre_tokenizer"]["pretokenizers"][0]["type"] = "Metaspace"; },
                {"pre_tokenizer.pretokenizers[0].type", "Metaspace", "Digits"}},
        BadFile{"NestedSequence",
                [](J& f) { f["pre_tokenizer"]["pretokenizers"][0] = f["pre_tokenizer"]; },
                {"pre_tokenizer.pretokenizers[0].type", "Sequence"}},
        BadFile{"DigitsOnly",
                [](J& f) { f["pre_tokenizer"]["pretokenizers"].erase(1); },
                {"pre_tokenizer", "as the last step"}},
        BadFile{"PrefixSpace",
                [](J& f) { f["pre_tokenizer"]["pretokenizers"][1]["add_prefix_space"] = true; },
                {"pre_tokenizer.pretokenizers[1].add_prefix_space", "true"}},
        BadFile{"PostProcessor",
                [](J& f) { f["post_processor"] = {{"type", "BertProcessing"}}; },
                {"post_processor.type", "BertProcessing", "TemplateProcessing"}},
        BadFile{"TemplateWithoutText",
                [](J& f) { f["post_processor"] = Template({}, 0); },
                {"post_processor.single", "template without the text"}},
        BadFile{"TemplateOfAPair",
                [](J& f) { f["post_processor"] = Template({{{"Sequence", {{"id", "B"}}}}}, 0); },
                {"post_processor.single[0].Sequence.id", "B"}},
        BadFile{"TemplateOfUnknown",
                [](J& f) { f["post_processor"] = Template({{{"SpecialToken", {{"id", "<eos>"}}}}}, 0); },
                {"post_processor.special_tokens", "<eos>"}},
        BadFile{"TemplateWithForeignId",
                [](J& f) { f["post_processor"] = Template({{{"SpecialToken", {{"id", "<bos>"}}}}}, 4000); },
                {"post_processor.special_tokens.<bos>.ids[0]", "4000"}},
        BadFile{"NoDecoder", [](J& f) { f["decoder"] = nullptr; }, {"decoder", "ByteLevel"}},
        BadFile{"OtherDecoder", [](J& f) { f["decoder"]["type"] = "Fuse"; }, {"decoder.type", "Fuse"}},
        BadFile{"DecoderInOtherOrder",
                [](J& f) { f["decoder"] = {{"type", "Sequence"}, {"decoders", J::array({{{"type", "Fuse"}}})}}; },
                {"decoder.decoders[0].type", "Fuse", "Replace, ByteFallback and Fuse"}},
        BadFile{"AddedTooLong",
                [](J& f) { f["added_tokens"][0]["content"] = std::string(600, 'x'); },
                {"added_tokens[0].content", "600 bytes"}},
        BadFile{"AddedWithoutFlag",
                [](J& f) { f["added_tokens"][0].erase("normalized"); },
                {"added_tokens[0]", "normalized"}},
        BadFile{"AddedEmpty", [](J& f) { f["added_tokens"][0]["content"] = ""; }, {"added_tokens[0].content"}},
        BadFile{"AddedTwice",
                [](J& f) { f["added_tokens"].push_back(f["added_tokens"][0]); },
                {"added token listed twice", "<|endoftext|>"}},
        BadFile{"AddedContradictsVocab", [](J& f) { f["added_tokens"][0]["id"] = 77; }, {"added_tokens[0]", "two ids"}},
        BadFile{"AddedTakesAnId",
                [](J& f) { f["added_tokens"].back()["id"] = 50; },
                {"added_tokens[", "id used by two tokens"}},
        BadFile{"AddedHugeId", [](J& f) { f["added_tokens"].back()["id"] = 1e9; }, {"added_tokens[", ".id"}}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(TokenizerFileTest, CutAnywhereIsOneClearError) {
  const std::string whole = ReadFile(kGolden / "tokenizer.json");
  for (const size_t length : {size_t{0}, size_t{1}, size_t{100}, whole.size() / 2, whole.size() - 2}) {
    const std::string message =
        testing::ErrorOf([&] { Tokenizer::FromJson(whole.substr(0, length), "dir/tokenizer.json"); });
    EXPECT_THAT(message, HasSubstr("dir/tokenizer.json: not a JSON document")) << length;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

// Whatever a flipped bit makes of the file, it loads or is refused with an nla::Error.
TEST(TokenizerFileTest, FlippedBitsNeverCrash) {
  for (const char* family : {"", "llama_like", "gemma_like"}) {
    const std::string whole = ReadFile(kGolden / family / "tokenizer.json");
    int refused = 0;
    for (size_t i = 0; i < whole.size(); i += 23) {
      std::string flipped = whole;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << (i % 8)));
      try {
        Tokenizer::FromJson(flipped, "flipped").EncodeWithOffsets("The word <tool> 12\n\n e\u0301 €");
      } catch (const Error&) {
        ++refused;
      }
    }
    EXPECT_GT(refused, 100) << family;
  }
}

// Every value of the document replaced by one of another type, every member taken away.
TEST(TokenizerFileTest, WrongTypesAreErrorsThatNameTheFile) {
  for (const char* family : {"llama_like", "gemma_like"}) {
    const nlohmann::json whole = nlohmann::json::parse(ReadFile(kGolden / family / "tokenizer.json"));
    const nlohmann::json fields = whole.flatten();
    for (const auto& [path, value] : fields.items()) {
      if (path.starts_with("/model/vocab/") || path.starts_with("/model/merges/")) continue;
      for (const nlohmann::json& other : {nlohmann::json(nullptr), nlohmann::json(-7), nlohmann::json("zq"),
                                          nlohmann::json::array(), nlohmann::json::object()}) {
        nlohmann::json changed = whole;
        changed[nlohmann::json::json_pointer(path)] = other;
        try {
          Tokenizer::FromJson(changed.dump(), "dir/tokenizer.json").EncodeWithOffsets("The work <tool> é");
        } catch (const Error& error) {
          EXPECT_THAT(error.what(), HasSubstr("dir/tokenizer.json")) << path;
        }
      }
    }
  }
}

TEST(TokenizerFileTest, AMissingFileIsNamed) {
  EXPECT_THAT(testing::ErrorOf([] { Tokenizer::Load("/nowhere/tokenizer.json"); }),
              HasSubstr("/nowhere/tokenizer.json"));
  EXPECT_THAT(testing::ErrorOf([] { Tokenizer::Load(NLA_SOURCE_DIR "/tests"); }), HasSubstr("tests/tokenizer.json"));
}

// Legacy files spell merges "a b".
TEST(TokenizerFileTest, ReadsBothSpellingsOfMerges) {
  nlohmann::json file = nlohmann::json::parse(ReadFile(kGolden / "tokenizer.json"));
  const Tokenizer arrays = Tokenizer::FromJson(file.dump(), "arrays");
  nlohmann::json& merges = file["model"]["merges"];
  ASSERT_TRUE(merges.at(0).is_array());
  for (nlohmann::json& merge : merges) merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  const Tokenizer strings = Tokenizer::FromJson(file.dump(), "strings");
  const std::string text = "Licensed under the Apache License, Version 2.0";
  EXPECT_EQ(strings.Encode(text), arrays.Encode(text));
}

}  // namespace
}  // namespace nla
