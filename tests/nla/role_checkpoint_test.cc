// What loading one side of a pair checks: each wrong fact is an error that names the file and the field.
#include "nla/role_checkpoint.h"

#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error_testing.h"
#include "base/file.h"
#include "model/tensor_io.h"
#include "nla/tiny_pair_testing.h"
#include "nla/verbalizer.h"

namespace nla {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class RoleTest : public testing::Test {
 protected:
  std::string Load(const std::string& side, Role role) {
    return Refusal([&] { LoadRole(tiny_.Source(side), role); });
  }
  std::string LoadCritic(const std::string& side) { return Load(side, Role::kCritic); }
  std::string LoadActor(const std::string& side) { return Load(side, Role::kActor); }
  TinyPair tiny_;
};

TEST_F(RoleTest, AllSidesLoad) {
  for (const char* side : {"av", "av_whole", "av_known"}) EXPECT_EQ(LoadActor(side), "accepted") << side;
  for (const char* side : {"ar", "ar_whole"}) EXPECT_EQ(LoadCritic(side), "accepted") << side;
  // Whole sides need no base model.
  EXPECT_EQ(Refusal([&] { LoadRole({tiny_ / "ar_whole", {}, at::kFloat, {}}, Role::kCritic); }), "accepted");
}

TEST_F(RoleTest, RefusesTheOtherRole) {
  EXPECT_THAT(LoadActor("ar"), AllOf(HasSubstr("ar/nla_meta.yaml: role"), HasSubstr("actor")));
  EXPECT_THAT(LoadCritic("av"), AllOf(HasSubstr("av/nla_meta.yaml: role"), HasSubstr("critic")));
}

TEST_F(RoleTest, PromptsSayTheDayOfTraining) {
  EditJson(tiny_ / "av_whole" / "tokenizer_config.json", [](nlohmann::json& config) {
    config["chat_template"] = "{{ strftime_now('%d %b %Y') }} " + config["chat_template"].get<std::string>();
  });
  const std::vector<ChatMessage> turn = {{"user", "Hello"}};
  const auto prompt = [&] {
    return LoadRole(tiny_.Source("av_whole"), Role::kActor).chat.RenderText(turn, /*add_generation_prompt=*/true);
  };
  EXPECT_THAT(prompt(), testing::StartsWith("26 Jul 2024 "));
  EditSidecar(tiny_ / "av_whole", [](ModelSidecar& s) { s.extra.emplace_back(kChatDateFact, "2025-01-31"); });
  EXPECT_THAT(prompt(), testing::StartsWith("31 Jan 2025 "));
}

TEST_F(RoleTest, RefusesAnotherWidth) {
  EditSidecar(tiny_ / "av_whole", [](ModelSidecar& s) { s.d_model = 128; });
  EXPECT_THAT(LoadActor("av_whole"),
              AllOf(HasSubstr("av_whole/nla_meta.yaml: d_model"), HasSubstr("found 128"), HasSubstr("wanted 64")));
}

TEST_F(RoleTest, RefusesAnotherTokenizer) {
  EditSidecar(tiny_ / "ar_whole", [](ModelSidecar& s) { s.tokenizer_hash = std::string(64, '0'); });
  EXPECT_THAT(LoadCritic("ar_whole"),
              AllOf(HasSubstr("ar_whole/nla_meta.yaml: nla_cpp.tokenizer_hash"), HasSubstr("0000000000000000…")));
  // Not recorded: nothing to compare.
  EditSidecar(tiny_ / "ar_whole", [](ModelSidecar& s) { s.tokenizer_hash.clear(); });
  EXPECT_EQ(LoadCritic("ar_whole"), "accepted");
}

TEST_F(RoleTest, RefusesATokenizerLargerThanTheModel) {
  EditJson(tiny_ / "av_whole" / "tokenizer.json", [](nlohmann::json& tokenizer) {
    nlohmann::json token = tokenizer["added_tokens"].back();
    token["id"] = 288;
    token["content"] = "<|more|>";
    tokenizer["added_tokens"].push_back(token);
  });
  EXPECT_THAT(LoadActor("av_whole"), AllOf(HasSubstr("av_whole: the tokenizer has ids that the model has no embedding"),
                                           HasSubstr("found 289")));
}

TEST_F(RoleTest, RefusesAdaptersOverOtherWeights) {
  Decoder base = Decoder::Load(Checkpoint::Open(tiny_ / "base"), {});
  base.Weights().back().tensor.mutable_data_ptr<float>()[5] += 1e-3F;
  WriteTensors(tiny_ / "base" / "model.safetensors", base.Weights(), at::kFloat);
  EXPECT_THAT(LoadActor("av"), AllOf(HasSubstr("/base: is not the base model that"), HasSubstr("--base")));
  EXPECT_THAT(LoadCritic("ar"), HasSubstr("/base: is not the base model that"));
  EXPECT_EQ(LoadActor("av_whole"), "accepted");
  // A hash that the caller has is taken instead of another pass over the weights.
  RoleSource source = tiny_.Source("av");
  source.base_hash = ReadModelSidecar(tiny_ / "av").base_weights_hash;
  EXPECT_EQ(Refusal([&] { LoadRole(source, Role::kActor); }), "accepted");
}

TEST_F(RoleTest, RefusesAdaptersWithoutABase) {
  EXPECT_THAT(Refusal([&] {
                LoadRole({tiny_ / "av", {}, at::kFloat, {}}, Role::kActor);
              }),
              AllOf(HasSubstr("/av: holds adapters alone"), HasSubstr("--base DIR")));
}

TEST_F(RoleTest, RefusesAMissingOrWrongLayer) {
  EditSidecar(tiny_ / "ar", [](ModelSidecar& s) { s.layer.reset(); });
  EXPECT_THAT(LoadCritic("ar"), HasSubstr("ar/nla_meta.yaml: critic.extraction_layer_index: is missing"));
  EditSidecar(tiny_ / "ar", [](ModelSidecar& s) { s.layer = 3; });
  EXPECT_THAT(LoadCritic("ar"), AllOf(HasSubstr("ar/nla_meta.yaml: critic.extraction_layer_index"),
                                      HasSubstr("found K = 3"), HasSubstr("at most 2")));
  // A whole reconstructor has K + 1 blocks, neither fewer nor more.
  for (const int64_t layer : {0, 2}) {
    EditSidecar(tiny_ / "ar_whole", [&](ModelSidecar& s) { s.layer = layer; });
    EXPECT_THAT(LoadCritic("ar_whole"),
                AllOf(HasSubstr("critic.extraction_layer_index"), HasSubstr("wanted 1 (num_hidden_layers - 1 of")));
  }
}

TEST_F(RoleTest, RefusesAMissingOrWrongValueHead) {
  const fs::path head = tiny_ / "ar_whole" / "value_head.safetensors";
  fs::rename(head, tiny_ / "head");
  EXPECT_THAT(LoadCritic("ar_whole"), HasSubstr("ar_whole/value_head.safetensors"));
  WriteTensors(head, {{"bias", at::Tensor(LoadRole(tiny_.Source("ar"), Role::kCritic).value_head)}}, at::kFloat);
  EXPECT_THAT(LoadCritic("ar_whole"), HasSubstr("value_head.safetensors: tensor weight is missing"));
  WriteTensors(head, {{"weight", LoadRole(tiny_.Source("ar"), Role::kCritic).value_head.narrow(0, 0, 63)}}, at::kFloat);
  EXPECT_THAT(LoadCritic("ar_whole"),
              AllOf(HasSubstr("value_head.safetensors: weight: shape"), HasSubstr("found [63, 64]")));
}

TEST_F(RoleTest, AdaptersLieOverALoadedBase) {
  Decoder base = Decoder::Load(Checkpoint::Open(tiny_ / "base"), {});
  const auto data_of = [](Decoder& decoder, int64_t i) { return decoder.Weights()[i].tensor.const_data_ptr<float>(); };
  for (const Role role : {Role::kActor, Role::kCritic}) {
    RoleSource source = tiny_.Source(role == Role::kActor ? "av" : "ar");
    RoleCheckpoint apart = LoadRole(source, role);
    source.loaded_base = &base;
    RoleCheckpoint shared = LoadRole(source, role);
    EXPECT_EQ(shared.decoder.blocks(), apart.decoder.blocks());
    EXPECT_EQ(shared.decoder.Weights().size(), apart.decoder.Weights().size());
    EXPECT_EQ(data_of(shared.decoder, 5), data_of(base, 5));
    EXPECT_NE(data_of(apart.decoder, 5), data_of(base, 5));
    const std::vector<TokenId> ids = {5, 99, 7};
    EXPECT_TRUE(at::equal(shared.decoder.Forward(shared.decoder.Embed(ids), {0, {3}}),
                          apart.decoder.Forward(apart.decoder.Embed(ids), {0, {3}})));
  }
  EXPECT_EQ(base.lora().rank, 0);
  // A whole side has weights of its own.
  RoleSource whole = tiny_.Source("av_whole");
  whole.loaded_base = &base;
  RoleCheckpoint own = LoadRole(whole, Role::kActor);
  EXPECT_NE(data_of(own.decoder, 5), data_of(base, 5));
}

TEST_F(RoleTest, TheValueHeadMayBeAmongTheWeights) {
  const at::Tensor head = LoadRole(tiny_.Source("ar_whole"), Role::kCritic).value_head;
  std::vector<NamedTensor> weights =
      Decoder::Load(Checkpoint::Open(tiny_ / "ar_whole"), {.with_head = false}).Weights();
  weights.push_back({"value_head.weight", head});
  WriteTensors(tiny_ / "ar_whole" / "model.safetensors", weights, at::kFloat);
  fs::remove(tiny_ / "ar_whole" / "value_head.safetensors");
  EXPECT_TRUE(at::equal(LoadRole(tiny_.Source("ar_whole"), Role::kCritic).value_head, head));
  // The name of a whole module's state in a file of its own.
  WriteTensors(tiny_ / "ar" / "value_head.safetensors", {{"value_head.weight", head}}, at::kFloat);
  EditSidecar(tiny_ / "ar", [](ModelSidecar& s) { s.weights_hash.clear(); });
  EXPECT_TRUE(at::equal(LoadRole(tiny_.Source("ar"), Role::kCritic).value_head, head));
}

TEST_F(RoleTest, RefusesAVerbalizerWhosePromptHasAnotherMarker) {
  EditSidecar(tiny_ / "av", [](ModelSidecar& s) { s.tokens->injection_right_neighbor_id += 1; });
  EXPECT_THAT(Refusal([&] { Verbalizer::Load(tiny_.Source("av")); }), HasSubstr("tokens.injection_right_neighbor_id"));
}

// The last byte of a file is a weight's: the file is sound, its numbers are not.
void FlipLastBit(const fs::path& file) {
  std::string bytes = ReadFile(file);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  WriteFileAtomically(file, bytes);
}

TEST_F(RoleTest, RefusesFlippedBits) {
  FlipLastBit(tiny_ / "av" / "adapter_model.safetensors");
  EXPECT_THAT(LoadActor("av"), AllOf(HasSubstr("/av: the adapters or the value head are not those"),
                                     HasSubstr("copy the whole directory again")));
  FlipLastBit(tiny_ / "ar" / "value_head.safetensors");
  EXPECT_THAT(LoadCritic("ar"), HasSubstr("/ar: the adapters or the value head are not those"));
  // Not recorded: nothing to compare.
  EditSidecar(tiny_ / "ar", [](ModelSidecar& s) { s.weights_hash.clear(); });
  EXPECT_EQ(LoadCritic("ar"), "accepted");
}

TEST_F(RoleTest, RefusesCutAdapters) {
  const fs::path adapters = tiny_ / "av" / "adapter_model.safetensors";
  fs::resize_file(adapters, fs::file_size(adapters) - 1);
  EXPECT_THAT(LoadActor("av"), HasSubstr("av/adapter_model.safetensors"));
}

}  // namespace
}  // namespace nla
