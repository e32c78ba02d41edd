// Conversion of a tiny Gemma 3: what its files leave out, its norms, its SentencePiece vocabulary, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/file.h"
#include "weights/checkpoint.h"
#include "weights/convert.h"
#include "weights/gguf_family.h"
#include "weights/gguf_writer.h"
#include "weights_testing.h"

namespace nla {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using Strings = std::vector<std::string>;

class ConvertGemma : public testing::Test {
 protected:
  ConvertGemma() {
    const auto number = [&](const char* key, uint32_t value) { pairs_.push_back({key, value}); };
    pairs_.push_back({"general.architecture", "gemma3"});
    number("gemma3.block_count", 7);
    number("gemma3.context_length", 128);
    number("gemma3.embedding_length", 8);
    number("gemma3.feed_forward_length", 16);
    number("gemma3.attention.head_count", 2);
    number("gemma3.attention.head_count_kv", 1);
    number("gemma3.attention.key_length", 4);
    number("gemma3.attention.sliding_window", 64);
    pairs_.push_back({"gemma3.attention.layer_norm_rms_epsilon", 1e-6f});
    pairs_.push_back({"gemma3.rope.freq_base", 1e6f});
    pairs_.push_back({"tokenizer.ggml.model", "llama"});
    pairs_.push_back(
        {"tokenizer.ggml.tokens", Strings{"<pad>", "<eos>", "<bos>", "<unk>", "<end_of_turn>", "<unused0>", "  ",
                                          "<0x0A>", "\u2581", "a", "\u2581a", "aa", "<start_of_image>"}});
    pairs_.push_back({"tokenizer.ggml.token_type", std::vector<int32_t>{3, 3, 3, 3, 3, 3, 4, 6, 1, 1, 1, 1, 4}});
    pairs_.push_back({"tokenizer.ggml.scores",
                      std::vector<float>{-1000, -1000, -1000, -1000, -1000, -1000, -1000, 0, -9, -10, -1, -2, -1000}});
    number("tokenizer.ggml.bos_token_id", 2);
    number("tokenizer.ggml.eos_token_id", 1);
    number("tokenizer.ggml.unknown_token_id", 3);
    number("tokenizer.ggml.padding_token_id", 0);
    pairs_.push_back({"tokenizer.ggml.add_space_prefix", false});
  }

  void Set(const std::string& key, GgufValue value) {
    std::erase_if(pairs_, [&](const GgufPair& pair) { return pair.key == key; });
    pairs_.push_back({key, std::move(value)});
  }
  // Writes the file; every value of every tensor is 1.25.
  fs::path Write() const {
    const ModelSizes sizes{
        .blocks = 7, .hidden = 8, .inner = 16, .heads = 2, .kv_heads = 1, .head_width = 4, .vocabulary = 13};
    const GgufFamily& gemma = GgufFamilies().back();
    EXPECT_EQ(gemma.architecture, "gemma3");
    std::vector<GgufTensorSpec> specs;
    for (const TensorPair& pair : TensorPairs(gemma, sizes, true))
      specs.push_back({pair.gguf, GgmlType::kF32, pair.shape});
    GgufWriter writer(input_ / "in.gguf", pairs_, specs);
    for (const GgufTensorSpec& spec : specs) {
      const std::vector<float> values(*CheckedProduct(spec.shape), 1.25f);
      writer.Append(std::as_bytes(std::span(values)));
      writer.EndTensor();
    }
    writer.Commit();
    return input_ / "in.gguf";
  }
  json Converted(const std::string& file) const {
    ConvertGguf(Write(), Out(), {.dtype = DType::kF32, .replace = true});
    return json::parse(ReadFile(Out() / file));
  }
  std::string Error() const {
    const fs::path gguf = Write();
    const std::string error = ErrorOf([&] { ConvertGguf(gguf, Out(), {}); });
    EXPECT_FALSE(fs::exists(Out()));
    return error;
  }
  fs::path Out() const { return scratch_ / "out"; }

  std::vector<GgufPair> pairs_;
  Scratch scratch_, input_;
};

TEST_F(ConvertGemma, ConfigHasWhatFilesLeaveOut) {
  const json config = Converted("config.json");
  EXPECT_EQ(config.at("model_type"), "gemma3_text");
  EXPECT_EQ(config.at("architectures"), json::array({"Gemma3ForCausalLM"}));
  json types = json::array();
  for (int i = 0; i < 7; ++i) types.push_back(i == 5 ? "full_attention" : "sliding_attention");
  EXPECT_EQ(config.at("layer_types"), types);
  EXPECT_EQ(config.at("rope_theta"), 1e6);
  EXPECT_EQ(config.at("rope_local_base_freq"), 1e4);
  EXPECT_EQ(config.at("query_pre_attn_scalar"), 4);
  EXPECT_EQ(config.at("sliding_window"), 64);
  EXPECT_EQ(config.at("hidden_activation"), "gelu_pytorch_tanh");
  EXPECT_EQ(config.at("tie_word_embeddings"), true);
  EXPECT_EQ(config.at("eos_token_id"), json::array({1, 4}));
  EXPECT_FALSE(config.contains("rope_scaling"));
  EXPECT_EQ(Converted("generation_config.json"),
            json({{"bos_token_id", 2}, {"eos_token_id", {1, 4}}, {"pad_token_id", 0}}));
}

TEST_F(ConvertGemma, MetadataThatSaysMoreIsFollowed) {
  Set("gemma3.rope.freq_base_swa", 5000.0f);
  Set("gemma3.attention.sliding_window_pattern", 2u);
  Set("gemma3.rope.scaling.type", "linear");
  Set("gemma3.rope.scaling.factor", 8.0f);
  Set("tokenizer.ggml.eot_token_id", 5u);
  const json config = Converted("config.json");
  EXPECT_EQ(config.at("rope_local_base_freq"), 5000);
  EXPECT_EQ(config.at("layer_types").at(1), "full_attention");
  EXPECT_EQ(config.at("layer_types").at(2), "sliding_attention");
  EXPECT_EQ(config.at("rope_scaling"), json({{"rope_type", "linear"}, {"factor", 8.0}}));
  EXPECT_EQ(config.at("eos_token_id"), json::array({1, 4, 5}));
}

TEST_F(ConvertGemma, NormsLoseTheOneThatFilesAdd) {
  Converted("config.json");
  const Checkpoint checkpoint = Checkpoint::Open(Out());
  for (const std::string& name : checkpoint.names()) {
    const float wanted = name.find("norm") == std::string::npos ? 1.25f : 0.25f;
    EXPECT_EQ(Text(checkpoint.Find(name)->bytes).substr(0, 4), Raw(wanted)) << name;
  }
}

TEST_F(ConvertGemma, TheTokenizerIsTheOneThatGemmaIsPublishedWith) {
  const json tokenizer = Converted("tokenizer.json");
  EXPECT_EQ(tokenizer.at("normalizer"),
            json({{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}}));
  EXPECT_EQ(tokenizer.at("post_processor").at("single").at(0).at("SpecialToken").at("id"), "<bos>");
  EXPECT_EQ(tokenizer.at("post_processor").at("special_tokens").at("<bos>").at("ids"), json::array({2}));
  EXPECT_EQ(tokenizer.at("decoder").at("decoders").size(), 3u);
  const json& model = tokenizer.at("model");
  EXPECT_EQ(model.at("byte_fallback"), true);
  EXPECT_EQ(model.at("fuse_unk"), true);
  EXPECT_EQ(model.at("unk_token"), "<unk>");
  EXPECT_EQ(model.at("vocab").at("\u2581\u2581"), 6);  // spelled with spaces in the file
  // User-defined tokens come first, as in SentencePiece, whatever score the file has for them.
  const auto pair = [](const char* left, const char* right) { return json::array({left, right}); };
  EXPECT_EQ(model.at("merges"), json::array({pair("\u2581", "\u2581"), pair("\u2581", "a"), pair("a", "a")}));
  std::map<std::string, bool> special;
  for (const json& token : tokenizer.at("added_tokens")) special[token.at("content")] = token.at("special");
  EXPECT_EQ(special, (std::map<std::string, bool>{{"<pad>", true},
                                                  {"<eos>", true},
                                                  {"<bos>", true},
                                                  {"<unk>", true},
                                                  {"<end_of_turn>", true},
                                                  {"<unused0>", false},
                                                  {"\u2581\u2581", false},
                                                  {"<start_of_image>", true}}));
}

TEST_F(ConvertGemma, ASpaceBeforeTheTextIsTheFormatsDefault) {
  std::erase_if(pairs_, [](const GgufPair& pair) { return pair.key == "tokenizer.ggml.add_space_prefix"; });
  const json tokenizer = Converted("tokenizer.json");
  EXPECT_EQ(tokenizer.at("normalizer").at("normalizers").at(0), json({{"type", "Prepend"}, {"prepend", "\u2581"}}));
  EXPECT_EQ(tokenizer.at("decoder").at("decoders").at(3).at("type"), "Strip");
  EXPECT_EQ(tokenizer.at("pre_tokenizer"), nullptr);
}

TEST_F(ConvertGemma, WhatIsWrongIsNamed) {
  const auto with = [&](const std::string& key, GgufValue value) {
    const std::vector<GgufPair> before = pairs_;
    Set(key, std::move(value));
    const std::string error = Error();
    pairs_ = before;
    return error;
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(with("gemma3.logit_scale", 2.0f),
              HasSubstr("gemma3.logit_scale: unknown setting of the model: found 2.0"));
  EXPECT_THAT(with("gemma3.rope.scaling.type", "longrope"), HasSubstr("found longrope, wanted none, linear or yarn"));
  EXPECT_THAT(with("gemma3.attention.sliding_window", 0u),
              HasSubstr("gemma3.attention.sliding_window: value out of range"));
  EXPECT_THAT(with("gemma3.attention.sliding_window_pattern", 0u), HasSubstr("value out of range"));
  EXPECT_THAT(with("gemma3.attention.value_length", 2u), HasSubstr("unsupported variant of the architecture"));
  EXPECT_THAT(with("tokenizer.ggml.scores", std::vector<float>(12)),
              HasSubstr("not one score a token: found 12, wanted 13"));
  EXPECT_THAT(with("tokenizer.ggml.scores", std::vector<float>(13, nan)), HasSubstr("score of token 7 is not finite"));
  EXPECT_THAT(with("tokenizer.ggml.scores", Strings(13)), HasSubstr("not an array of numbers"));
  EXPECT_THAT(with("tokenizer.ggml.token_type", std::vector<int32_t>(13, 7)), HasSubstr("unsupported type of token 0"));
  EXPECT_THAT(with("tokenizer.ggml.add_eos_token", true), HasSubstr("add_eos_token: unsupported"));
  EXPECT_THAT(with("tokenizer.ggml.eot_token_id", 13u), HasSubstr("eot_token_id: id outside the vocabulary: found 13"));
  EXPECT_THAT(with("tokenizer.ggml.bos_token_id", 99u), HasSubstr("bos_token_id: id outside the vocabulary"));
  Strings tokens(13, "x");
  EXPECT_THAT(with("tokenizer.ggml.tokens", tokens), HasSubstr("token 1 is a duplicate: found x"));
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = std::to_string(i);
  tokens[6] = " ";  // user-defined: spelled with the sign
  tokens[8] = "\u2581";
  EXPECT_THAT(with("tokenizer.ggml.tokens", tokens), HasSubstr("token 8 is a duplicate"));
  tokens[8] = std::string(5000, 'x');
  EXPECT_THAT(with("tokenizer.ggml.tokens", tokens),
              HasSubstr("length of token 8: found 5000 bytes, wanted at most 4096"));
}

TEST_F(ConvertGemma, DamageIsAnErrorOrAWholeDirectory) {
  const std::string whole = ReadFile(Write());
  int refused = 0;
  for (size_t at = 0; at < whole.size() && at < 9000; at += 37) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x21);
    const fs::path path = input_.Put("damaged.gguf", bytes);
    const std::string error = ErrorOf([&] { ConvertGguf(path, Out(), {}); });
    EXPECT_EQ(error.empty(), fs::exists(Out()));
    refused += !error.empty();
    fs::remove_all(Out());
  }
  EXPECT_GT(refused, 50);
}

}  // namespace
}  // namespace nla
