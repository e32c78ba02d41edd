// Export of the tiny Llama that the gguf package wrote, the way back, and what must refuse to be exported. The other
// families are in check_families.py, which asks transformers.
#include "weights/export_gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "weights/checkpoint.h"
#include "weights/convert.h"
#include "weights_testing.h"

namespace nla {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

json ReadJson(const fs::path& path) { return json::parse(ReadFile(path)); }

class Export : public testing::Test {
 protected:
  Export() { ConvertGguf(Golden("tiny_llama.gguf"), Model(), {.dtype = DType::kF32}); }

  fs::path Model() const { return models_ / "model"; }
  fs::path Out() const { return scratch_ / "out.gguf"; }
  // The error of exporting the model with a changed file; checks that nothing is left behind.
  std::string ErrorWith(const std::string& file, const std::function<void(json&)>& change) const {
    const std::string whole = ReadFile(Model() / file);
    json document = json::parse(whole);
    change(document);
    WriteFileAtomically(Model() / file, document.dump());
    const std::string error = ErrorOf([&] { ExportGguf(Model(), Out(), {}); });
    EXPECT_TRUE(error.empty() || scratch_.Names().empty());
    fs::remove(Out());
    WriteFileAtomically(Model() / file, whole);
    return error;
  }
  std::string ErrorWithConfig(const std::string& key, const json& value) const {
    return ErrorWith("config.json", [&](json& config) { config[key] = value; });
  }
  Scratch scratch_, models_;
};

TEST_F(Export, TheWayBackIsTheSameByteForByte) {
  const GgufExportFacts facts = ExportGguf(Model(), Out(), {.type = GgmlType::kF32});
  EXPECT_EQ(facts.architecture, "llama");
  EXPECT_EQ(facts.tensors, 21);
  EXPECT_EQ(facts.bytes, fs::file_size(Out()));
  ConvertGguf(Out(), scratch_ / "again", {.dtype = DType::kF32});
  for (const char* name :
       {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}) {
    EXPECT_TRUE(ReadFile(Model() / name) == ReadFile(scratch_ / "again" / name)) << name;
  }
}

TEST_F(Export, MetadataIsWhatThePackageWrote) {
  ExportGguf(Model(), Out(), {});
  const GgufFile ours = GgufFile::Open(Out());
  const GgufFile golden = GgufFile::Open(Golden("tiny_llama.gguf"));
  for (const auto& [key, wanted] : golden.metadata().items()) {
    if (key.starts_with("golden.")) continue;
    ASSERT_TRUE(ours.metadata().contains(key)) << key;
    EXPECT_EQ(ours.metadata().at(key), wanted) << key;
  }
  EXPECT_EQ(ours.metadata().at("general.file_type"), 32);
  EXPECT_EQ(ours.metadata().at("general.name"), "model");
  EXPECT_EQ(ours.metadata().at("tokenizer.ggml.add_bos_token"), false);
}

TEST_F(Export, VectorsStayFloatsAndMatricesTakeTheType) {
  for (const GgmlType type : {GgmlType::kF32, GgmlType::kF16, GgmlType::kBF16, GgmlType::kQ8_0}) {
    ExportGguf(Model(), Out(), {.type = type, .replace = true});
    const GgufFile file = GgufFile::Open(Out());
    for (const GgufTensor& tensor : file.tensors()) {
      EXPECT_EQ(tensor.type, tensor.shape.size() == 1 ? GgmlType::kF32 : type) << tensor.name;
    }
  }
  EXPECT_THAT(scratch_.Names(), ElementsAre("out.gguf"));
}

TEST_F(Export, TwoRunsWriteTheSameBytesAndReplaceOnlyWhenAsked) {
  ExportGguf(Model(), Out(), {});
  const std::string first = ReadFile(Out());
  EXPECT_THAT(ErrorOf([&] { ExportGguf(Model(), Out(), {}); }), HasSubstr("out.gguf: already exists"));
  ExportGguf(Model(), Out(), {.replace = true});
  EXPECT_TRUE(ReadFile(Out()) == first);
}

TEST_F(Export, ShardsAreReadAsOne) {
  const ConvertOptions small{.dtype = DType::kF32, .shard_bytes = 20'000};
  ConvertGguf(Golden("tiny_llama.gguf"), models_ / "sharded", small);
  const json index = ReadJson(models_ / "sharded/model.safetensors.index.json");
  EXPECT_EQ(index.at("weight_map").size(), 21u);
  EXPECT_EQ(index.at("weight_map").at("model.embed_tokens.weight"), "model-00001-of-00007.safetensors");
  EXPECT_EQ(Checkpoint::Open(models_ / "sharded").WeightsHash(), Checkpoint::Open(Model()).WeightsHash());
  for (const auto& entry : fs::directory_iterator(models_ / "sharded")) {
    const bool one_large_tensor = entry.path().filename() == "model-00001-of-00007.safetensors" ||
                                  entry.path().filename() == "model-00007-of-00007.safetensors";
    if (entry.path().extension() != ".safetensors" || one_large_tensor) continue;
    EXPECT_LE(fs::file_size(entry.path()), 20'000u + 4096) << entry.path();
  }
  ExportGguf(models_ / "sharded", Out(), {});
  ExportGguf(Model(), scratch_ / "whole.gguf", {});
  const GgufFile sharded = GgufFile::Open(Out());
  const GgufFile whole = GgufFile::Open(scratch_ / "whole.gguf");
  for (const GgufTensor& tensor : whole.tensors()) {
    EXPECT_TRUE(Text(sharded.Find(tensor.name)->bytes) == Text(tensor.bytes)) << tensor.name;
  }
}

TEST_F(Export, SettingsWithoutAPlaceInTheFileAreNamed) {
  EXPECT_THAT(ErrorWithConfig("model_type", "bert"),
              HasSubstr("config.json: model_type has no GGUF form here: found bert, wanted llama, mistral, qwen2"));
  EXPECT_THAT(ErrorWithConfig("attention_bias", true), HasSubstr("attention_bias cannot be put into a GGUF file"));
  EXPECT_THAT(ErrorWithConfig("hidden_act", "gelu"), HasSubstr("found \"gelu\", wanted \"silu\""));
  EXPECT_THAT(ErrorWithConfig("sliding_window", 4096), HasSubstr("sliding_window"));
  EXPECT_THAT(ErrorWithConfig("rope_scaling", {{"rope_type", "longrope"}}), HasSubstr("rope_type"));
  EXPECT_THAT(ErrorWithConfig("num_attention_heads", 5), HasSubstr("a divisor of num_attention_heads"));
  EXPECT_THAT(ErrorWithConfig("num_hidden_layers", -2), HasSubstr("num_hidden_layers"));
  EXPECT_THAT(ErrorWithConfig("num_hidden_layers", 1), HasSubstr("this family does not have: found model.layers.1"));
  EXPECT_THAT(ErrorWithConfig("num_hidden_layers", 3), HasSubstr("tensor is missing: found model.layers.2"));
  EXPECT_THAT(ErrorWithConfig("num_hidden_layers", 1 << 30), HasSubstr("num_hidden_layers: more blocks than tensors"));
  EXPECT_THAT(ErrorWithConfig("num_hidden_layers", uint64_t{1} << 40), HasSubstr("a positive whole number"));
  EXPECT_THAT(ErrorWithConfig("head_dim", 1 << 30), HasSubstr("an even number up to 65536"));
  EXPECT_THAT(ErrorWithConfig("hidden_size", 64), HasSubstr("shape: found [267,32], wanted [267,64]"));
  EXPECT_THAT(ErrorWithConfig("vocab_size", 266), HasSubstr("shape"));
}

TEST_F(Export, TokenizersThatAFileCannotSayAreNamed) {
  const auto error = [&](const std::function<void(json&)>& change) { return ErrorWith("tokenizer.json", change); };
  EXPECT_EQ(error([](json&) {}), "");
  EXPECT_THAT(error([](json& t) { t["pre_tokenizer"] = nullptr; }),
              HasSubstr("one that tokenizer.ggml.pre has a name for"));
  EXPECT_THAT(error([](json& t) {
                t["normalizer"] = {{"type", "NFKC"}};
              }),
              HasSubstr("pre_tokenizer, with normalizer"));
  EXPECT_THAT(error([](json& t) { t["model"]["type"] = "Unigram"; }), HasSubstr("found \"Unigram\", wanted BPE"));
  EXPECT_THAT(error([](json& t) { t["model"].erase("merges"); }), HasSubstr("merges is missing"));
  EXPECT_THAT(error([](json& t) { t["model"]["vocab"]["!"] = 267; }), HasSubstr("an id below vocab_size = 267"));
  EXPECT_THAT(error([](json& t) { t["model"]["vocab"]["!"] = -1; }), HasSubstr("token id"));
  EXPECT_THAT(error([](json& t) { t["model"]["merges"][0] = {"a"}; }), HasSubstr("a merge"));
  EXPECT_THAT(error([](json& t) { t["post_processor"] = {{"type", "BertProcessing"}}; }), HasSubstr("post_processor"));
  EXPECT_THAT(error([](json& t) { t["model"]["byte_fallback"] = true; }), HasSubstr("wanted spaces as signs"));
  EXPECT_THAT(error([](json& t) {
                t["model"]["byte_fallback"] = true;
                t["model"]["merges"].erase(3);
              }),
              HasSubstr("merges that no scores give: found 5 merges, wanted the 6 merges"));
}

TEST_F(Export, LlamaThreeScalingTravelsAsFactors) {
  const json scaling = {{"rope_type", "llama3"},
                        {"factor", 32.0},
                        {"low_freq_factor", 1.0},
                        {"high_freq_factor", 4.0},
                        {"original_max_position_embeddings", 8192}};
  // A base so large that the longest of the four wavelengths is beyond 8192 positions and the factor shows.
  json config = ReadJson(Model() / "config.json");
  config["rope_scaling"] = scaling;
  config["rope_theta"] = 5e6;
  WriteFileAtomically(Model() / "config.json", config.dump());
  ExportGguf(Model(), Out(), {});
  const GgufFile file = GgufFile::Open(Out());
  const std::vector<float> factors = Dequantize(*file.Find("rope_freqs.weight"));
  ASSERT_EQ(factors.size(), 4u);
  EXPECT_EQ(factors.front(), 1.0f);
  EXPECT_EQ(factors.back(), 32.0f);
  ConvertGguf(Out(), scratch_ / "again", {});
  EXPECT_EQ(ReadJson(scratch_ / "again/config.json").at("rope_scaling"), scaling);
}

TEST_F(Export, FactorsOfAnotherKindAreNamed) {
  json config = ReadJson(Model() / "config.json");
  config["rope_scaling"] = {{"rope_type", "llama3"}, {"factor", 32.0}};
  config["rope_theta"] = 5e6;
  WriteFileAtomically(Model() / "config.json", config.dump());
  ExportGguf(Model(), Out(), {});
  std::string bytes = ReadFile(Out());
  const std::string factors = Raw(1.0f) + Raw(1.0f) + Raw(32.0f) + Raw(32.0f);
  ASSERT_NE(bytes.find(factors), std::string::npos);
  bytes.replace(bytes.find(factors), factors.size(), Raw(1.0f) + Raw(1.0f) + Raw(1.5f) + Raw(32.0f));
  const fs::path path = scratch_.Put("in.gguf", bytes);
  EXPECT_THAT(ErrorOf([&] { ConvertGguf(path, scratch_ / "again", {}); }),
              HasSubstr("tensor rope_freqs.weight: factor 2 is not of Llama 3's rope scaling: found 1.5, wanted 32"));
}

}  // namespace
}  // namespace nla
