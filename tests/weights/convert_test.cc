// Conversion of a tiny Llama written by the gguf package, and what must refuse to convert.
#include "weights/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "weights/checkpoint.h"
#include "weights_testing.h"

namespace nla {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

nlohmann::json ReadJson(const fs::path& path) { return nlohmann::json::parse(ReadFile(path)); }

class Convert : public testing::Test {
 protected:
  fs::path Out() const { return scratch_ / "out"; }
  ConvertFacts Run(const ConvertOptions& options = {}) const {
    return ConvertGguf(Golden("tiny_llama.gguf"), Out(), options);
  }
  // The error of converting `bytes`; checks that nothing is left behind.
  std::string ErrorOfBytes(std::string_view bytes) const {
    const fs::path gguf = input_.Put("in.gguf", bytes);
    const std::string error = ErrorOf([&] { ConvertGguf(gguf, Out(), {}); });
    EXPECT_TRUE(error.empty() || scratch_.Names().empty()) << error;
    fs::remove_all(Out());
    return error;
  }
  Scratch scratch_, input_;
};

// The golden with `from` replaced by `to` of the same length, everywhere.
std::string Edited(const std::string& from, const std::string& to) {
  EXPECT_EQ(from.size(), to.size());
  std::string bytes = ReadFile(Golden("tiny_llama.gguf"));
  size_t at = bytes.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  for (; at != std::string::npos; at = bytes.find(from, at + to.size())) bytes.replace(at, to.size(), to);
  return bytes;
}

// The golden with the u32 value of `key` replaced.
std::string WithU32(const std::string& key, uint32_t from, uint32_t to) {
  const std::string head = GgufString(key) + Raw<uint32_t>(4);
  return Edited(head + Raw(from), head + Raw(to));
}

TEST_F(Convert, TensorsAreTheHuggingFaceOnesInBf16) {
  const ConvertFacts facts = Run();
  const Checkpoint ours = Checkpoint::Open(Out());
  const SafetensorsFile golden = SafetensorsFile::Open(Golden("tiny_llama_bf16.safetensors"));
  ASSERT_EQ(ours.names().size(), golden.tensors().size());
  for (const TensorView& wanted : golden.tensors()) {
    const TensorView* found = ours.Find(wanted.name);
    ASSERT_NE(found, nullptr) << wanted.name;
    EXPECT_EQ(found->dtype, DType::kBF16);
    EXPECT_EQ(found->shape, wanted.shape) << wanted.name;
    EXPECT_TRUE(Text(found->bytes) == Text(wanted.bytes)) << wanted.name;
  }
  EXPECT_EQ(facts.architecture, "llama");
  EXPECT_EQ(facts.tensors, 21);
  EXPECT_EQ(facts.weights_hash, ours.WeightsHash());
}

TEST_F(Convert, WiderStorageHoldsTheSameValues) {
  for (const auto& [dtype, name] : {std::pair(DType::kF32, "float32"), std::pair(DType::kF16, "float16")}) {
    Run({.dtype = dtype, .replace = true});
    const Checkpoint ours = Checkpoint::Open(Out());
    EXPECT_EQ(ours.config().at("torch_dtype"), name);
    EXPECT_EQ(ours.Find("model.norm.weight")->dtype, dtype);
    EXPECT_EQ(ours.Find("model.norm.weight")->bytes.size(), 32 * SizeOf(dtype));
  }
}

TEST_F(Convert, ConfigSaysWhatTheMetadataSays) {
  Run();
  const auto wanted = nlohmann::json::parse(R"({
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 32, "intermediate_size": 64,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "hidden_act": "silu",
    "rms_norm_eps": 1e-05, "rope_theta": 100000.0, "max_position_embeddings": 128, "vocab_size": 267,
    "tie_word_embeddings": false, "attention_bias": false, "mlp_bias": false, "bos_token_id": 1, "eos_token_id": 2,
    "pad_token_id": 2, "torch_dtype": "bfloat16"})");
  EXPECT_EQ(ReadJson(Out() / "config.json"), wanted);
  EXPECT_EQ(ReadJson(Out() / "generation_config.json"),
            nlohmann::json({{"bos_token_id", 1}, {"eos_token_id", 2}, {"pad_token_id", 2}}));
}

TEST_F(Convert, TokenizerHasVocabularyMergesAndAddedTokens) {
  Run();
  const nlohmann::json tokenizer = ReadJson(Out() / "tokenizer.json");
  const nlohmann::json& model = tokenizer.at("model");
  EXPECT_EQ(model.at("vocab").size(), 266u);  // the unused last one pads the table only
  EXPECT_EQ(model.at("vocab").at("<|im_start|>"), 1);
  EXPECT_EQ(model.at("vocab").at("!"), 3);
  EXPECT_EQ(model.at("vocab").at("Ġwo"), 264);
  EXPECT_EQ(model.at("merges").size(), 6u);
  EXPECT_EQ(model.at("merges").at(2), nlohmann::json::array({"he", "ll"}));
  EXPECT_EQ(model.at("merges").at(4), nlohmann::json::array({"Ġ", "w"}));
  const nlohmann::json& added = tokenizer.at("added_tokens");
  ASSERT_EQ(added.size(), 4u);
  EXPECT_EQ(added.at(2).at("content"), "<|im_end|>");
  EXPECT_EQ(added.at(2).at("special"), true);
  EXPECT_EQ(added.at(3).at("id"), 265);
  EXPECT_EQ(added.at(3).at("special"), false);
  EXPECT_EQ(tokenizer.at("pre_tokenizer").at("pretokenizers").at(0),
            nlohmann::json({{"type", "Digits"}, {"individual_digits", true}}));
  const nlohmann::json config = ReadJson(Out() / "tokenizer_config.json");
  EXPECT_EQ(config.at("bos_token"), "<|im_start|>");
  EXPECT_EQ(config.at("unk_token"), "<|endoftext|>");
  EXPECT_EQ(config.at("model_max_length"), 128);
  EXPECT_EQ(config.at("chat_template"), "{% for m in messages %}{{ m['content'] }}{% endfor %}");
}

TEST_F(Convert, TwoRunsWriteTheSameBytes) {
  Run();
  ConvertGguf(Golden("tiny_llama.gguf"), scratch_ / "again", {});
  for (const char* name :
       {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}) {
    EXPECT_TRUE(ReadFile(Out() / name) == ReadFile(scratch_ / "again" / name)) << name;
  }
  EXPECT_THAT(scratch_.Names(), ElementsAre("again", "out"));
}

TEST_F(Convert, AnExistingDirectoryIsReplacedOnlyWhenAsked) {
  scratch_.Put("out/mine", "x");
  EXPECT_THAT(ErrorOf([&] { Run(); }), HasSubstr("already exists"));
  EXPECT_EQ(ReadFile(Out() / "mine"), "x");
  Run({.replace = true});
  EXPECT_FALSE(fs::exists(Out() / "mine"));
  EXPECT_THAT(scratch_.Names(), ElementsAre("out"));
}

TEST_F(Convert, AFailureLeavesTheOldDirectoryAsItWas) {
  scratch_.Put("out/mine", "x");
  const std::string whole = ReadFile(Golden("tiny_llama.gguf"));
  const fs::path cut = input_.Put("cut.gguf", whole.substr(0, whole.size() / 2));
  EXPECT_NE(ErrorOf([&] { ConvertGguf(cut, Out(), {.replace = true}); }), "");
  EXPECT_EQ(ReadFile(Out() / "mine"), "x");
  EXPECT_THAT(scratch_.Names(), ElementsAre("out"));
}

TEST_F(Convert, WhatCannotBeConvertedIsNamed) {
  EXPECT_THAT(ErrorOfBytes(Edited(GgufString("llama"), GgufString("llamb"))),
              HasSubstr("general.architecture: unsupported architecture: found llamb, wanted llama"));
  EXPECT_THAT(ErrorOfBytes(Edited(GgufString("smollm"), GgufString("qwen77"))),
              HasSubstr("tokenizer.ggml.pre: unknown pre-tokeniser: found qwen77, wanted smollm"));
  EXPECT_THAT(ErrorOfBytes(Edited(GgufString("gpt2"), GgufString("bert"))),
              HasSubstr("tokenizer.ggml.model: unsupported kind of tokenizer: found bert"));
  EXPECT_THAT(ErrorOfBytes(Edited("blk.1.attn_q.weight", "blk.1.attn_x.weight")),
              HasSubstr("tensor is missing: found blk.1.attn_q.weight"));
  EXPECT_THAT(ErrorOfBytes(Edited(GgufString("output.weight"), GgufString("outputs.weigh"))),
              HasSubstr("a tensor that this family does not have: found outputs.weigh"));
  EXPECT_THAT(ErrorOfBytes(Edited("llama.context_length", "llama.content_length")),
              HasSubstr("llama.context_length: metadata key is missing"));
  EXPECT_THAT(ErrorOfBytes(Edited(GgufString("he ll"), GgufString("he zz"))),
              HasSubstr("tokenizer.ggml.merges: merge 2 is not of two tokens into a third: found he zz"));
  EXPECT_THAT(ErrorOfBytes(Edited(GgufString("hell"), GgufString("hel!"))), HasSubstr("tokenizer.ggml.merges"));
  EXPECT_THAT(ErrorOfBytes(Edited(GgufString("<user>"), GgufString("<user\xff"))), HasSubstr("not UTF-8"));
  EXPECT_THAT(ErrorOfBytes(Edited(GgufString("a"), GgufString("b"))), HasSubstr("is a duplicate: found b"));
}

TEST_F(Convert, SizesThatDisagreeAreNamed) {
  EXPECT_THAT(ErrorOfBytes(WithU32("llama.feed_forward_length", 64, 32)),
              HasSubstr("tensor blk.0.ffn_gate.weight: shape: found [64,32], wanted [32,32]"));
  EXPECT_THAT(ErrorOfBytes(WithU32("llama.block_count", 2, 3)), HasSubstr("tensor is missing: found blk.2"));
  EXPECT_THAT(ErrorOfBytes(WithU32("llama.block_count", 2, 1)), HasSubstr("this family does not have: found blk.1"));
  EXPECT_THAT(ErrorOfBytes(WithU32("llama.block_count", 2, 0)), HasSubstr("llama.block_count: value out of range"));
  EXPECT_THAT(ErrorOfBytes(WithU32("llama.block_count", 2, 1u << 30)), HasSubstr("more blocks than tensors"));
  EXPECT_THAT(ErrorOfBytes(WithU32("llama.block_count", 2, 1u << 31)), HasSubstr("value out of range"));
  EXPECT_THAT(ErrorOfBytes(WithU32("llama.attention.head_count", 4, 0)), HasSubstr("value out of range"));
  EXPECT_THAT(ErrorOfBytes(WithU32("llama.attention.head_count", 4, 5)), HasSubstr("does not divide"));
  EXPECT_THAT(ErrorOfBytes(WithU32("llama.attention.head_count", 4, 32)), HasSubstr("width of a head is not even"));
  EXPECT_THAT(ErrorOfBytes(WithU32("llama.rope.dimension_count", 8, 4)), HasSubstr("unsupported variant"));
  EXPECT_THAT(ErrorOfBytes(WithU32("llama.vocab_size", 267, 268)), HasSubstr("llama.vocab_size"));
  EXPECT_THAT(ErrorOfBytes(WithU32("tokenizer.ggml.eos_token_id", 2, 267)), HasSubstr("id outside the vocabulary"));
}

TEST_F(Convert, NonFiniteWeightsAreNamed) {
  // The one F32 norm: its first value becomes a NaN.
  const GgufFile golden = GgufFile::Open(Golden("tiny_llama.gguf"));
  const std::string_view norm = Text(golden.Find("output_norm.weight")->bytes);
  std::string bytes = ReadFile(Golden("tiny_llama.gguf"));
  bytes.replace(bytes.find(norm), 4, Raw<uint32_t>(0x7fc00000));
  EXPECT_THAT(ErrorOfBytes(bytes), HasSubstr("tensor output_norm.weight: a value that BF16 cannot hold"));
}

TEST_F(Convert, ValuesTooLargeForTheStorageTypeAreNamed) {
  const GgufFile golden = GgufFile::Open(Golden("tiny_llama.gguf"));
  const std::string_view norm = Text(golden.Find("output_norm.weight")->bytes);
  std::string bytes = ReadFile(Golden("tiny_llama.gguf"));
  bytes.replace(bytes.find(norm), 4, Raw(1e6f));
  const fs::path gguf = input_.Put("in.gguf", bytes);
  const std::string error = ErrorOf([&] { ConvertGguf(gguf, Out(), {.dtype = DType::kF16}); });
  EXPECT_THAT(error, HasSubstr("a value that F16 cannot hold: found 1000000"));
  EXPECT_EQ(ErrorOfBytes(bytes), "");  // bf16 holds it
}

TEST_F(Convert, DamageIsAnErrorOrAWholeDirectory) {
  const std::string whole = ReadFile(Golden("tiny_llama.gguf"));
  const size_t head = whole.find(Text(GgufFile::Open(Golden("tiny_llama.gguf")).tensors()[0].bytes));
  int refused = 0;
  for (size_t at = 0; at < head; at += 61) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x41);
    refused += !ErrorOfBytes(bytes).empty();
  }
  EXPECT_GT(refused, 20);
}

}  // namespace
}  // namespace nla
