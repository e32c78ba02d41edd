// config.json of every family: tensors of published models, both ways of writing rope, and all that must be refused.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <regex>
#include <set>

#include "base/error_testing.h"
#include "model/rope_table.h"
#include "model/spec.h"

namespace nla {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

const std::filesystem::path kGolden = std::filesystem::path(NLA_SOURCE_DIR) / "tests/model/golden";

json ReadConfig(const std::filesystem::path& path) {
  std::ifstream in(path);
  return json::parse(in);
}

// "name 4x8" of every tensor; the golden's first line tells how many parameters they have together.
struct Published {
  int64_t parameters = 0;
  std::multiset<std::string> tensors;
};

Published ReadPublished(const std::string& name) {
  std::ifstream in(kGolden / "published" / (name + ".txt"));
  Published published;
  std::string line;
  std::getline(in, line);
  published.parameters = std::stoll(line);
  const std::regex range(R"(\.layers\.0-(\d+)\.)");
  while (std::getline(in, line)) {
    std::smatch match;
    if (!std::regex_search(line, match, range)) {
      published.tensors.insert(line);
      continue;
    }
    for (int block = 0; block <= std::stoi(match[1]); ++block) {
      published.tensors.insert(fmt::format("{}.layers.{}.{}", match.prefix().str(), block, match.suffix().str()));
    }
  }
  return published;
}

class PublishedModel : public ::testing::TestWithParam<std::pair<const char*, int64_t>> {};

TEST_P(PublishedModel, HasTheTensorsThatTransformersMakes) {
  const auto [name, parameters] = GetParam();
  const ModelSpec spec = ParseModelSpec(ReadConfig(kGolden / "published" / (std::string(name) + ".json")), name);
  const Published wanted = ReadPublished(name);
  EXPECT_EQ(wanted.parameters, parameters);
  std::multiset<std::string> found;
  int64_t total = 0;
  for (const TensorFacts& facts : TensorsOf(spec, spec.n_blocks, true)) {
    found.insert(fmt::format("{} {}", facts.name, fmt::join(facts.shape, "x")));
    int64_t size = 1;
    for (const int64_t n : facts.shape) size *= n;
    total += size;
  }
  EXPECT_EQ(found, wanted.tensors);
  EXPECT_EQ(total, parameters);
}

// The numbers that their authors give, of the language model alone.
INSTANTIATE_TEST_SUITE_P(All, PublishedModel,
                         ::testing::Values(std::pair{"SmolLM2-135M", 134515008L},
                                           std::pair{"Qwen2.5-7B-Instruct", 7615616512L},
                                           std::pair{"Qwen3-0.6B", 596049920L}, std::pair{"Llama-3.2-1B", 1235814400L},
                                           std::pair{"Llama-3.3-70B-Instruct", 70553706496L},
                                           std::pair{"Mistral-7B-v0.3", 7248023552L},
                                           std::pair{"Gemma-3-270M", 268098176L}, std::pair{"Gemma-3-1B", 999885952L},
                                           std::pair{"Gemma-3-4B", 3880263168L}, std::pair{"Gemma-3-12B", 11766034176L},
                                           std::pair{"Gemma-3-27B", 27009346304L}),
                         [](const auto& model) {
                           return std::regex_replace(std::string(model.param.first), std::regex("[^A-Za-z0-9]"), "_");
                         });

ModelSpec Spec(const std::string& name) { return ParseModelSpec(ReadConfig(kGolden / "published" / name), name); }

TEST(Families, KnowTheirSettings) {
  const ModelSpec qwen = Spec("Qwen2.5-7B-Instruct.json");
  EXPECT_EQ(qwen.biases, (std::array<bool, kLinearsPerBlock>{true, true, true}));
  for (const BlockSpec& block : qwen.blocks) EXPECT_EQ(block.window, 0);  // use_sliding_window is false
  const ModelSpec gemma = Spec("Gemma-3-27B.json");
  EXPECT_DOUBLE_EQ(gemma.attention_scale, 1 / std::sqrt(168.0));
  EXPECT_DOUBLE_EQ(gemma.embedding_scale, std::sqrt(5376.0));
  EXPECT_EQ(gemma.ropes[0].factor, 8);
  EXPECT_EQ(gemma.ropes[0].theta, 1e6);
  EXPECT_EQ(gemma.ropes[1].factor, 1);
  EXPECT_EQ(gemma.ropes[1].theta, 1e4);
  for (int64_t i = 0; i < gemma.n_blocks; ++i) {
    EXPECT_EQ(gemma.blocks[i].window, i % 6 == 5 ? 0 : 1024) << i;
    EXPECT_EQ(gemma.blocks[i].rope, i % 6 == 5 ? 0U : 1U) << i;
  }
  json mistral = ReadConfig(kGolden / "published/Mistral-7B-v0.3.json");
  EXPECT_EQ(ParseModelSpec(mistral, "").blocks[0].window, 0);
  mistral.erase("sliding_window");  // the first Mistral's
  EXPECT_EQ(ParseModelSpec(mistral, "").blocks[0].window, 4096);
}

void ExpectSameRopes(const json& one, const json& other) {
  const ModelSpec a = ParseModelSpec(one, "one");
  const ModelSpec b = ParseModelSpec(other, "other");
  ASSERT_EQ(a.ropes.size(), b.ropes.size());
  for (size_t i = 0; i < a.ropes.size(); ++i) {
    EXPECT_EQ(RopeFrequencies(a.ropes[i], 128), RopeFrequencies(b.ropes[i], 128));
  }
}

TEST(Families, ReadRopeAsEitherTransformersWritesIt) {
  json old = ReadConfig(kGolden / "published/Llama-3.2-1B.json");
  json fresh = old;
  fresh["rope_parameters"] = old["rope_scaling"];
  fresh["rope_parameters"]["rope_theta"] = old["rope_theta"];
  fresh.erase("rope_scaling");
  fresh.erase("rope_theta");
  ExpectSameRopes(old, fresh);
  json plain = old;
  plain.erase("rope_scaling");
  EXPECT_NE(RopeFrequencies(ParseModelSpec(plain, "").ropes[0], 64),
            RopeFrequencies(ParseModelSpec(old, "").ropes[0], 64));

  old = ReadConfig(kGolden / "published/Gemma-3-1B.json");
  old["rope_scaling"] = {{"rope_type", "linear"}, {"factor", 8.0}};
  fresh = old;
  fresh["rope_parameters"] = {{"full_attention", {{"rope_type", "linear"}, {"factor", 8.0}, {"rope_theta", 1e6}}},
                              {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 1e4}}}};
  for (const char* key : {"rope_scaling", "rope_theta", "rope_local_base_freq"}) fresh.erase(key);
  ExpectSameRopes(old, fresh);
}

// What parsing says of a published config with one value changed.
std::string With(const std::string& model, const std::string& pointer, const json& value) {
  json config = ReadConfig(kGolden / "published" / (model + ".json"));
  config[json::json_pointer(pointer)] = value;
  return Refusal([&] { ParseModelSpec(config, "config.json"); });
}

TEST(Families, RefuseWhatTheDecoderCannotCompute) {
  const std::string llama = "Llama-3.2-1B";
  const std::string gemma = "Gemma-3-270M";
  EXPECT_THAT(With(llama, "/model_type", "mamba"), AllOf(HasSubstr("found mamba"), HasSubstr("qwen3, gemma3_text")));
  EXPECT_THAT(With(llama, "/rope_scaling/rope_type", "yarn"),
              AllOf(HasSubstr("config.json: rope_scaling: rope_type is not supported"), HasSubstr("found \"yarn\"")));
  EXPECT_THAT(With(llama, "/rope_scaling/partial_rotary_factor", 0.5), HasSubstr("partial_rotary_factor"));
  EXPECT_THAT(With(llama, "/rope_scaling/factor", nullptr), HasSubstr("factor is missing"));
  EXPECT_THAT(With(llama, "/rope_scaling/low_freq_factor", 4), HasSubstr("less than high_freq_factor"));
  EXPECT_THAT(With(llama, "/hidden_act", "gelu"), HasSubstr("hidden_act"));
  EXPECT_THAT(With(llama, "/quantization_config", {{"bits", 4}}), HasSubstr("quantization_config"));
  EXPECT_THAT(With(llama, "/num_key_value_heads", 5), HasSubstr("a divisor of num_attention_heads = 32"));
  EXPECT_THAT(With(llama, "/head_dim", 63), HasSubstr("an even number"));
  EXPECT_THAT(With(llama, "/num_hidden_layers", int64_t{1} << 39), HasSubstr("num_hidden_layers"));
  EXPECT_THAT(With("Mistral-7B-v0.3", "/layer_types", json::array({"full_attention"})), HasSubstr("layer_types"));
  EXPECT_THAT(With("Qwen3-0.6B", "/layer_types", json::array({"full_attention"})), HasSubstr("num_hidden_layers = 28"));
  EXPECT_THAT(With("Qwen3-0.6B", "/layer_types", json(28, "linear_attention")), HasSubstr("a kind that is not"));
  EXPECT_THAT(With(gemma, "/final_logit_softcapping", 30.0), HasSubstr("final_logit_softcapping"));
  EXPECT_THAT(With(gemma, "/attn_logit_softcapping", 50.0), HasSubstr("attn_logit_softcapping"));
  EXPECT_THAT(With(gemma, "/use_bidirectional_attention", true), HasSubstr("use_bidirectional_attention"));
  EXPECT_THAT(With(gemma, "/hidden_activation", "gelu"), HasSubstr("hidden_activation"));
  EXPECT_THAT(With(gemma, "/sliding_window", nullptr), HasSubstr("sliding_window"));
  EXPECT_THAT(With(gemma, "/rope_parameters", {{"rope_type", "default"}}), HasSubstr("full_attention"));
  EXPECT_THAT(With("Gemma-3-4B", "/text_config", nullptr), HasSubstr("text_config is missing"));
  EXPECT_THAT(With("Gemma-3-4B", "/text_config/model_type", "gemma2"), HasSubstr("model_type"));
  EXPECT_EQ(With(gemma, "/use_bidirectional_attention", false), "accepted");
}

TEST(CutConfig, CutsTheLayerTypesToo) {
  json config = ReadConfig(kGolden / "families/gemma3_text/config.json");
  const json cut = CutConfig(config, 2);
  EXPECT_EQ(cut["num_hidden_layers"], 2);
  EXPECT_EQ(cut["layer_types"], json({"sliding_attention", "full_attention"}));
  const ModelSpec spec = ParseModelSpec(cut, "");
  EXPECT_EQ(spec.blocks[0].window, 6);
  EXPECT_EQ(spec.blocks[1].window, 0);
}

TEST(CutConfig, TakesANestedLanguageModelOut) {
  const json config = ReadConfig(kGolden / "published/Gemma-3-12B.json");
  const json cut = CutConfig(config, 33);
  EXPECT_EQ(cut["model_type"], "gemma3_text");
  EXPECT_EQ(cut["architectures"], json({"Gemma3ForCausalLM"}));
  const ModelSpec whole = ParseModelSpec(config, "");
  const ModelSpec part = ParseModelSpec(cut, "");
  EXPECT_EQ(part.n_blocks, 33);
  EXPECT_EQ(part.tied_head, whole.tied_head);
  EXPECT_EQ(part.d_model, whole.d_model);
  EXPECT_EQ(part.ropes[0].factor, 8);
  EXPECT_EQ(NamesInCheckpoint(part, "model.layers.3.mlp.up_proj.weight").front(), "model.layers.3.mlp.up_proj.weight");
  EXPECT_EQ(NamesInCheckpoint(whole, "model.layers.3.mlp.up_proj.weight").front(),
            "language_model.model.layers.3.mlp.up_proj.weight");
}

}  // namespace
}  // namespace nla
