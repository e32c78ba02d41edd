// Checkpoint directories, whole and sharded, sound and broken.
#include "weights/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/hash.h"
#include "weights_testing.h"

namespace nla {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view kValues = "abcdefghijklmnopqrstuvwx";

// A tensor of bytes, so that its values show in the test.
TensorView Letters(const std::string& name, size_t begin, size_t count) {
  return {name, DType::kU8, {static_cast<int64_t>(count)}, std::as_bytes(std::span(kValues)).subspan(begin, count)};
}

void PutShard(const Scratch& scratch, const std::string& name, const std::vector<TensorView>& tensors) {
  WriteSafetensors(scratch / name, tensors);
}

void PutIndex(const Scratch& scratch, const nlohmann::json& weight_map) {
  scratch.Put("model.safetensors.index.json", nlohmann::json({{"weight_map", weight_map}}).dump());
}

// Two shards of three tensors, with config and index.
void PutSharded(const Scratch& scratch) {
  scratch.Put("config.json", R"({"model_type": "test"})");
  PutShard(scratch, "one.safetensors", {Letters("b", 4, 3), Letters("a", 0, 4)});
  PutShard(scratch, "two.safetensors", {Letters("c", 7, 5)});
  PutIndex(scratch, {{"a", "one.safetensors"}, {"b", "one.safetensors"}, {"c", "two.safetensors"}});
}

std::string ErrorOfOpen(const Scratch& scratch) {
  return ErrorOf([&] { Checkpoint::Open(scratch / "."); });
}

TEST(Checkpoint, ShardedAndWholeAreTheSame) {
  const Scratch sharded;
  PutSharded(sharded);
  const Scratch whole;
  whole.Put("config.json", "{}");
  PutShard(whole, "model.safetensors", {Letters("c", 7, 5), Letters("a", 0, 4), Letters("b", 4, 3)});
  const Checkpoint first = Checkpoint::Open(sharded / ".");
  const Checkpoint second = Checkpoint::Open(whole / ".");
  EXPECT_EQ(first.config().at("model_type"), "test");
  EXPECT_THAT(first.names(), ElementsAre("a", "b", "c"));
  EXPECT_EQ(first.names(), second.names());
  EXPECT_EQ(Text(first.Find("c")->bytes), "hijkl");
  EXPECT_EQ(first.Find("d"), nullptr);
  EXPECT_EQ(first.WeightsHash(), second.WeightsHash());
}

TEST(Checkpoint, ViewsOutliveAMove) {
  const Scratch scratch;
  PutSharded(scratch);
  Checkpoint first = Checkpoint::Open(scratch / ".");
  const TensorView view = *first.Find("a");
  const Checkpoint second = std::move(first);
  EXPECT_EQ(Text(view.bytes), "abcd");
  EXPECT_EQ(Text(second.Find("b")->bytes), "efg");
}

TEST(Checkpoint, HashFollowsItsDefinition) {
  const Scratch scratch;
  scratch.Put("config.json", "{}");
  PutShard(scratch, "model.safetensors", {Letters("b", 4, 3), Letters("a", 0, 4)});
  const std::string lines =
      R"(["a","U8",[4],")" + Sha256Hex("abcd") + "\"]\n" + R"(["b","U8",[3],")" + Sha256Hex("efg") + "\"]\n";
  EXPECT_EQ(Checkpoint::Open(scratch / ".").WeightsHash(), Sha256Hex(lines));
}

TEST(Checkpoint, HashSeesEveryDifference) {
  const auto hash = [](const TensorView& view) {
    const Scratch scratch;
    scratch.Put("config.json", "{}");
    PutShard(scratch, "model.safetensors", {view});
    return Checkpoint::Open(scratch / ".").WeightsHash();
  };
  const TensorView base = Letters("a", 0, 4);
  TensorView renamed = base, reshaped = base, retyped = base;
  renamed.name = "b";
  reshaped.shape = {2, 2};
  retyped.dtype = DType::kI8;
  EXPECT_EQ(hash(base), hash(Letters("a", 0, 4)));
  for (const TensorView& other : {renamed, reshaped, retyped, Letters("a", 1, 4)}) EXPECT_NE(hash(base), hash(other));
}

TEST(Checkpoint, MissingPartsAreNamed) {
  const Scratch scratch;
  EXPECT_THAT(ErrorOf([&] { Checkpoint::Open(scratch / "nowhere"); }), HasSubstr("nowhere: not a directory"));
  EXPECT_THAT(ErrorOfOpen(scratch), HasSubstr("config.json is missing"));
  scratch.Put("config.json", "{}");
  EXPECT_THAT(ErrorOfOpen(scratch), HasSubstr("no weights: wanted model.safetensors or"));
}

TEST(Checkpoint, BrokenConfigIsNamed) {
  for (const std::string config : {"", "{", "[1]", "{\"a\":1,\"a\":2}"}) {
    const Scratch scratch;
    PutSharded(scratch);
    scratch.Put("config.json", config);
    EXPECT_THAT(ErrorOfOpen(scratch), HasSubstr("config.json: ")) << config;
  }
}

TEST(Checkpoint, IndexAndShardsMustAgree) {
  const Scratch scratch;
  PutSharded(scratch);
  PutIndex(scratch, {{"a", "one.safetensors"}, {"d", "two.safetensors"}});
  EXPECT_THAT(ErrorOfOpen(scratch), HasSubstr("tensor d is not in the shard the index names: found in no shard"));
  PutIndex(scratch, {{"a", "two.safetensors"}, {"b", "one.safetensors"}});
  EXPECT_THAT(ErrorOfOpen(scratch), HasSubstr("tensor a is not in the shard the index names: found one.safetensors"));
  PutIndex(scratch, {{"a", "one.safetensors"}, {"c", "three.safetensors"}});
  EXPECT_THAT(ErrorOfOpen(scratch), HasSubstr("a shard is missing: found three.safetensors"));
  PutShard(scratch, "three.safetensors", {Letters("a", 0, 4)});
  PutIndex(scratch, {{"b", "one.safetensors"}, {"a", "three.safetensors"}});
  EXPECT_THAT(ErrorOfOpen(scratch), HasSubstr("tensor a is in another shard too: found one.safetensors"));
}

TEST(Checkpoint, ShardNamesThatLeadElsewhereAreRefused) {
  const Scratch scratch;
  PutSharded(scratch);
  for (const std::string name : {"../one.safetensors", "/etc/one.safetensors", "sub/one.safetensors", "..", "",
                                 "one.bin", "a\\one.safetensors"}) {
    PutIndex(scratch, {{"a", name}});
    EXPECT_THAT(ErrorOfOpen(scratch), HasSubstr("weight_map: a: shard name")) << name;
  }
  PutIndex(scratch, {{"a", std::string("one\0.safetensors", 16)}});
  EXPECT_THAT(ErrorOfOpen(scratch), HasSubstr("shard name"));
  PutIndex(scratch, {{"a", 3}});
  EXPECT_THAT(ErrorOfOpen(scratch), HasSubstr("not a string"));
}

TEST(Checkpoint, BrokenIndexIsNamed) {
  const Scratch scratch;
  PutSharded(scratch);
  for (const std::string index : {"{}", "{\"weight_map\": {}}", "{\"weight_map\": []}", "{\"weight_map\"", ""}) {
    scratch.Put("model.safetensors.index.json", index);
    EXPECT_THAT(ErrorOfOpen(scratch), HasSubstr("model.safetensors.index.json: ")) << index;
  }
}

TEST(Checkpoint, DamagedShardIsNamed) {
  const Scratch scratch;
  PutSharded(scratch);
  const std::string shard = ReadFile(scratch / "two.safetensors");
  scratch.Put("two.safetensors", shard.substr(0, shard.size() - 1));
  EXPECT_THAT(ErrorOfOpen(scratch), HasSubstr("two.safetensors: "));
}

}  // namespace
}  // namespace nla
