// Pairs on disk: what assembling writes and refuses, and what finding one checks.
#include "nla/pair.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error_testing.h"
#include "base/file.h"
#include "model/tensor_io.h"
#include "nla/tiny_pair_testing.h"

namespace nla {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class PairTest : public testing::Test {
 protected:
  std::string Find(const fs::path& base = {}) {
    return Refusal([&] { FindPair(tiny_ / "pair", base); });
  }
  std::string Assemble(const std::string& actor, const std::string& critic) {
    return Refusal([&] { AssemblePair({tiny_ / actor, tiny_ / critic, tiny_ / "base", {}}, tiny_ / "pair", false); });
  }
  // Another model of the same shape.
  void ChangeWeights(const fs::path& directory) {
    Decoder decoder = Decoder::Load(Checkpoint::Open(directory), {});
    decoder.Weights().front().tensor.mutable_data_ptr<float>()[9] += 1e-3F;
    WriteTensors(directory / "model.safetensors", decoder.Weights(), at::kFloat);
  }
  std::vector<std::string> Names(const fs::path& directory) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory)) names.push_back(entry.path().filename().string());
    return names;
  }
  TinyPair tiny_;
};

TEST_F(PairTest, AssemblesAdaptersWithoutWhatTheBaseHas) {
  fs::copy_file(tiny_ / "base" / "tokenizer.json", tiny_ / "av" / "tokenizer.json");
  const PairLocation pair = tiny_.Assemble("pair", "av", "ar");
  EXPECT_THAT(Names(pair.directory), testing::UnorderedElementsAre("av", "ar", "pair.yaml"));
  EXPECT_THAT(Names(pair.directory / "av"),
              testing::UnorderedElementsAre("adapter_config.json", "nla_meta.yaml", "adapter_model.safetensors"));
  EXPECT_THAT(Names(pair.directory / "ar"),
              testing::UnorderedElementsAre("adapter_config.json", "adapter_model.safetensors",
                                            "value_head.safetensors", "nla_meta.yaml"));
  EXPECT_EQ(pair.manifest.base_name, "tiny");
  EXPECT_EQ(pair.manifest.base_path, "../base");  // the two can be moved together
  EXPECT_EQ(pair.manifest.layer, kTinyLayer);
  EXPECT_EQ(pair.manifest.base_weights_hash, Checkpoint::Open(tiny_ / "base").WeightsHash());
  EXPECT_EQ(pair.base_hash, pair.manifest.base_weights_hash);
  EXPECT_FALSE(pair.manifest.baselines);
  EXPECT_EQ(ReadFile(pair.directory / "av" / "adapter_model.safetensors"),
            ReadFile(tiny_ / "av" / "adapter_model.safetensors"));
}

TEST_F(PairTest, AssemblesWholeSidesWhole) {
  const PairLocation pair = tiny_.Assemble("pair", "av_whole", "ar_whole");
  EXPECT_EQ(Names(pair.directory / "av").size(), Names(tiny_ / "av_whole").size());
  EXPECT_EQ(Names(pair.directory / "ar").size(), Names(tiny_ / "ar_whole").size());
  EXPECT_EQ(Refusal([&] { LoadRole(pair.Critic(at::kFloat), Role::kCritic); }), "accepted");
}

TEST_F(PairTest, BaselinesComeFromTheHeldOutRows) {
  const fs::path heldout = tiny_.WriteHeldOut(50, false);
  const PairLocation pair = tiny_.Assemble("pair", "av", "ar");
  const Baselines wanted = ComputeBaselines(RandomVectors(50, 3), kTinyWidth);
  ASSERT_TRUE(pair.manifest.baselines);
  EXPECT_NEAR(pair.manifest.baselines->raw_variance, wanted.raw_variance, 1e-9);
  EXPECT_NEAR(pair.manifest.baselines->mean_norm, wanted.mean_norm, 1e-9);
}

TEST_F(PairTest, RefusesSidesThatDoNotBelongTogetherAndLeavesNothing) {
  EXPECT_THAT(Assemble("ar", "av"), AllOf(HasSubstr("ar/nla_meta.yaml: role"), HasSubstr("actor")));
  EXPECT_THAT(Assemble("av", "av"), HasSubstr("av/nla_meta.yaml: role"));
  EXPECT_THAT(Assemble("nothing", "ar"), HasSubstr("nothing/nla_meta.yaml"));
  EditSidecar(tiny_ / "av_whole", [](ModelSidecar& s) { s.layer = 2; });
  EXPECT_THAT(Assemble("av_whole", "ar"), AllOf(HasSubstr("different layers"), HasSubstr("layer 2 and layer 1")));
  EditSidecar(tiny_ / "av_whole", [](ModelSidecar& s) { s.d_model = 32, s.layer = 1; });
  EXPECT_THAT(Assemble("av_whole", "ar"), AllOf(HasSubstr("different widths"), HasSubstr("32 and 64")));
  EditSidecar(tiny_ / "av_whole", [](ModelSidecar& s) { s.d_model = 64, s.tokenizer_hash = "other"; });
  EXPECT_THAT(Assemble("av_whole", "ar"), HasSubstr("different tokenizers"));
  ChangeWeights(tiny_ / "base");
  EXPECT_THAT(Assemble("av", "ar"),
              AllOf(HasSubstr("av/nla_meta.yaml: nla_cpp.base_weights_hash"), HasSubstr("--base")));
  EXPECT_THAT(Assemble("av_known", "ar"), HasSubstr("ar/nla_meta.yaml: nla_cpp.base_weights_hash"));
  for (const std::string& name : Names(tiny_.path())) EXPECT_THAT(name, testing::Not(HasSubstr("pair")));
}

TEST_F(PairTest, AFailureWhileCopyingLeavesNothing) {
  fs::remove(tiny_ / "av" / "adapter_model.safetensors");
  fs::create_directory(tiny_ / "av" / "adapter_model.safetensors");
  EXPECT_ANY_THROW(AssemblePair({tiny_ / "av", tiny_ / "ar", tiny_ / "base", {}}, tiny_ / "pair", false));
  for (const std::string& name : Names(tiny_.path())) EXPECT_THAT(name, testing::Not(HasSubstr("pair")));
}

TEST_F(PairTest, ReplacesOnlyWhenAsked) {
  tiny_.Assemble("pair", "av", "ar");
  EXPECT_THAT(Assemble("av", "ar"), HasSubstr("/pair"));
  EXPECT_EQ(Find(), "accepted");
  AssemblePair({tiny_ / "av_whole", tiny_ / "ar", tiny_ / "base", {}}, tiny_ / "pair", true);
  EXPECT_TRUE(fs::exists(tiny_ / "pair" / "av" / "model.safetensors"));
}

TEST_F(PairTest, FindsTheBaseWhereItIsSaid) {
  tiny_.Assemble("pair", "av", "ar");
  fs::rename(tiny_ / "base", tiny_ / "moved");
  EXPECT_THAT(Find(), AllOf(HasSubstr("pair.yaml: base_model.path"), HasSubstr("tiny is not there"),
                            HasSubstr("--base DIR"), HasSubstr("nla convert")));
  EXPECT_EQ(FindPair(tiny_ / "pair", tiny_ / "moved").base, tiny_ / "moved");
  EditText(tiny_ / "pair" / "pair.yaml", "../base", (tiny_ / "moved").string());
  EXPECT_EQ(FindPair(tiny_ / "pair").base, tiny_ / "moved");
}

TEST_F(PairTest, RefusesABaseWithOtherWeights) {
  tiny_.Assemble("pair", "av_whole", "ar_whole");  // also where both sides are whole: activations come from the base
  fs::copy(tiny_ / "base", tiny_ / "other", fs::copy_options::recursive);
  ChangeWeights(tiny_ / "other");
  EXPECT_THAT(Find(tiny_ / "other"), AllOf(HasSubstr("/other: is not the base model that"), HasSubstr("pair.yaml"),
                                           HasSubstr("nla convert"), HasSubstr("--base")));
  EXPECT_EQ(Find(tiny_ / "base"), "accepted");
}

TEST_F(PairTest, RefusesDamagedManifests) {
  tiny_.Assemble("pair", "av", "ar");
  const fs::path path = tiny_ / "pair" / "pair.yaml";
  const std::string whole = ReadFile(path);
  const auto with = [&](const std::string& from, const std::string& to) {
    WriteFileAtomically(path, whole);
    EditText(path, from, to);
    return Find();
  };
  EXPECT_THAT(with("nla_pair", "nla_model"), HasSubstr("pair.yaml: is not a pair's manifest"));
  EXPECT_THAT(with("layer: 1", "depth: 1"), HasSubstr("is not a pair's manifest"));
  EXPECT_THAT(with("layer: 1", "layer: one"), HasSubstr("pair.yaml: is not a readable manifest"));
  EXPECT_THAT(with("layer: 1", "layer: [1"), HasSubstr("pair.yaml: is not a readable manifest"));
  EXPECT_THAT(with("layer: 1", "layer: 2"),
              AllOf(HasSubstr("av/nla_meta.yaml: critic.extraction_layer_index"), HasSubstr("wanted 2")));
  EXPECT_THAT(with("layer: 1", "layer: 1\nbaselines: {raw_variance: 0, mean_norm: 1}"),
              HasSubstr("pair.yaml: baselines"));
  WriteFileAtomically(path, "just text\n");
  EXPECT_THAT(Find(), HasSubstr("pair.yaml: is not a readable manifest"));
  for (size_t length = 0; length < whole.size(); length += 7) {
    WriteFileAtomically(path, whole.substr(0, length));
    EXPECT_NE(Find(), "accepted") << length;
  }
  fs::remove(path);
  EXPECT_THAT(Find(), HasSubstr("pair.yaml"));
}

TEST_F(PairTest, RefusesSidesInEachOthersPlace) {
  tiny_.Assemble("pair", "av", "ar");
  fs::rename(tiny_ / "pair" / "av", tiny_ / "pair" / "x");
  fs::rename(tiny_ / "pair" / "ar", tiny_ / "pair" / "av");
  EXPECT_THAT(Find(), AllOf(HasSubstr("pair/av/nla_meta.yaml: role"), HasSubstr("actor")));
  fs::remove_all(tiny_ / "pair" / "av");
  EXPECT_THAT(Find(), HasSubstr("pair/av/nla_meta.yaml: the sidecar is missing"));
}

TEST_F(PairTest, TwoDirectoriesAreAPair) {
  const PairLocation pair = JoinSides(tiny_ / "av", tiny_ / "ar", tiny_ / "base");
  EXPECT_EQ(pair.manifest.layer, kTinyLayer);
  EXPECT_EQ(pair.manifest.base_name, "tiny");
  EXPECT_EQ(pair.base_hash, Checkpoint::Open(tiny_ / "base").WeightsHash());
  EXPECT_EQ(Refusal([&] { LoadRole(pair.Critic(at::kFloat), Role::kCritic); }), "accepted");
  EXPECT_THAT(Refusal([&] { JoinSides(tiny_ / "ar", tiny_ / "av"); }), HasSubstr("ar/nla_meta.yaml: role"));
  ChangeWeights(tiny_ / "base");
  EXPECT_THAT(Refusal([&] { JoinSides(tiny_ / "av_whole", tiny_ / "ar_whole", tiny_ / "base"); }),
              AllOf(HasSubstr("is not the base model that"), HasSubstr("ar_whole/nla_meta.yaml")));
  EditSidecar(tiny_ / "av", [](ModelSidecar& s) { s.layer = 2; });
  EXPECT_THAT(Refusal([&] { JoinSides(tiny_ / "av", tiny_ / "ar"); }), HasSubstr("different layers"));
}

TEST_F(PairTest, WholeSidesDoWithoutABase) {
  const PairLocation joined = JoinSides(tiny_ / "av_whole", tiny_ / "ar_whole");
  EXPECT_EQ(Refusal([&] { LoadRole(joined.Actor(at::kFloat), Role::kActor); }), "accepted");
  EXPECT_THAT(
      Refusal([&] { RequireBase(joined, "explaining a text"); }),
      AllOf(HasSubstr("explaining a text needs the base model"), HasSubstr("wanted tiny"), HasSubstr("--base")));
  AssemblePair({tiny_ / "av_whole", tiny_ / "ar_whole", {}, {}}, tiny_ / "pair", false);
  EXPECT_TRUE(FindPair(tiny_ / "pair").base.empty());
  EXPECT_EQ(FindPair(tiny_ / "pair", tiny_ / "base").base, tiny_ / "base");
  EXPECT_THAT(Find(tiny_ / "nowhere"), HasSubstr("the base model tiny is not there"));
  EXPECT_THAT(Refusal([&] {
                AssemblePair({tiny_ / "av", tiny_ / "ar_whole", {}, {}}, tiny_ / "pair", true);
              }),
              AllOf(HasSubstr("--base: is missing"), HasSubstr("tiny")));
  // Named, but not there: what whole sides can do, they still do.
  AssemblePair({tiny_ / "av_whole", tiny_ / "ar_whole", tiny_ / "base", {}}, tiny_ / "pair", true);
  fs::rename(tiny_ / "base", tiny_ / "moved");
  EXPECT_TRUE(FindPair(tiny_ / "pair").base.empty());
}

}  // namespace
}  // namespace nla
