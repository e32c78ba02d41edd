// Inspection: every kind is recognised, sound things have no problem, damaged ones have one that names the file.
#include "nla/inspect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error_testing.h"
#include "base/file.h"
#include "nla/tiny_pair_testing.h"

namespace nla {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

class InspectTest : public testing::Test {
 protected:
  TinyPair tiny_;
};

TEST_F(InspectTest, SoundThings) {
  const Inspection base = Inspect(tiny_ / "base");
  EXPECT_EQ(base.kind, "checkpoint");
  EXPECT_THAT(base.problems, IsEmpty());
  EXPECT_THAT(base.facts, AllOf(Contains(Pair("model_type", "llama")), Contains(Pair("blocks", "3")),
                                Contains(Pair("d_model", "64")), Contains(Pair("vocabulary", "288"))));

  const Inspection weights = Inspect(tiny_ / "base" / "model.safetensors");
  EXPECT_EQ(weights.kind, "safetensors");
  EXPECT_THAT(weights.problems, IsEmpty());
  EXPECT_THAT(weights.facts, AllOf(Contains(Pair("tensors", "29")), Contains(Pair("tensors of F32", "29"))));

  const Inspection actor = Inspect(tiny_ / "av_whole");
  EXPECT_EQ(actor.kind, "verbalizer");
  EXPECT_THAT(actor.problems, IsEmpty());
  EXPECT_THAT(actor.facts, AllOf(Contains(Pair("weights", "whole")), Contains(Pair("layer", "1"))));

  const Inspection critic = Inspect(tiny_ / "ar", tiny_ / "base");
  EXPECT_EQ(critic.kind, "reconstructor");
  EXPECT_THAT(critic.problems, IsEmpty());
  EXPECT_THAT(critic.facts, Contains(Pair("weights", "adapters")));

  const Inspection gguf = Inspect(NLA_SOURCE_DIR "/tests/weights/golden/tiny_llama.gguf");
  EXPECT_EQ(gguf.kind, "gguf");
  EXPECT_THAT(gguf.problems, IsEmpty());
  EXPECT_THAT(gguf.facts, Contains(Pair("architecture", "llama")));
}

TEST_F(InspectTest, Pairs) {
  tiny_.Assemble("pair", "av", "ar_whole");
  const Inspection pair = Inspect(tiny_ / "pair");
  EXPECT_EQ(pair.kind, "pair");
  EXPECT_THAT(pair.problems, IsEmpty());
  EXPECT_THAT(pair.facts, AllOf(Contains(Pair("layer", "1")), Contains(Pair("av.weights", "adapters")),
                                Contains(Pair("ar.weights", "whole"))));
  fs::resize_file(tiny_ / "pair" / "ar" / "model.safetensors", 1000);
  EXPECT_THAT(Inspect(tiny_ / "pair").problems, ElementsAre(HasSubstr("pair/ar/model.safetensors")));
  fs::rename(tiny_ / "base", tiny_ / "moved");
  EXPECT_THAT(Inspect(tiny_ / "pair").problems, ElementsAre(HasSubstr("base_model.path")));
  EXPECT_THAT(Inspect(tiny_ / "pair", tiny_ / "moved").problems, ElementsAre(HasSubstr("ar/model.safetensors")));
}

TEST_F(InspectTest, AdaptersWithoutABaseAreCheckedAsFarAsTheyGo) {
  const Inspection sound = Inspect(tiny_ / "av");
  EXPECT_THAT(sound.problems, IsEmpty());
  EXPECT_THAT(sound.facts, Contains(Pair("checked", HasSubstr("--base DIR"))));
  fs::resize_file(tiny_ / "av" / "adapter_model.safetensors", 3000);
  EXPECT_THAT(Inspect(tiny_ / "av").problems, ElementsAre(HasSubstr("av/adapter_model.safetensors")));
  fs::remove(tiny_ / "ar" / "value_head.safetensors");
  EXPECT_THAT(Inspect(tiny_ / "ar").problems, ElementsAre(HasSubstr("ar/value_head.safetensors")));
}

TEST_F(InspectTest, ReadsEveryByteOfWholeWeights) {
  const fs::path file = tiny_ / "av_whole" / "model.safetensors";
  std::string bytes = ReadFile(file);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  WriteFileAtomically(file, bytes);
  EXPECT_THAT(Inspect(tiny_ / "av_whole").problems,
              ElementsAre(HasSubstr("av_whole/nla_meta.yaml: nla_cpp.weights_hash")));
}

TEST_F(InspectTest, DamagedThings) {
  fs::resize_file(tiny_ / "base" / "model.safetensors", fs::file_size(tiny_ / "base" / "model.safetensors") - 4);
  EXPECT_THAT(Inspect(tiny_ / "base" / "model.safetensors").problems, ElementsAre(HasSubstr("model.safetensors")));
  EXPECT_THAT(Inspect(tiny_ / "base").problems, ElementsAre(HasSubstr("base/model.safetensors")));

  WriteFileAtomically(tiny_ / "av" / "nla_meta.yaml", "kind: [");
  const Inspection sidecar = Inspect(tiny_ / "av");
  EXPECT_EQ(sidecar.kind, "verbalizer or reconstructor");
  EXPECT_THAT(sidecar.problems, ElementsAre(HasSubstr("av/nla_meta.yaml: is not YAML")));

  WriteFileAtomically(tiny_ / "cut.gguf",
                      ReadFile(NLA_SOURCE_DIR "/tests/weights/golden/tiny_llama.gguf").substr(0, 99));
  EXPECT_THAT(Inspect(tiny_ / "cut.gguf").problems, ElementsAre(HasSubstr("cut.gguf")));

  fs::remove(tiny_ / "av_whole" / "tokenizer.json");
  EXPECT_THAT(Inspect(tiny_ / "av_whole").problems, ElementsAre(HasSubstr("tokenizer.json")));
}

TEST_F(InspectTest, Datasets) {
  const fs::path path = tiny_.WriteHeldOut(20, true);
  const Inspection sound = Inspect(path);
  EXPECT_EQ(sound.kind, "dataset");
  EXPECT_THAT(sound.problems, IsEmpty());
  EXPECT_THAT(sound.facts, AllOf(Contains(Pair("rows", "20")), Contains(Pair("d_model", "64")),
                                 Contains(Pair("stage", "base")), Contains(Pair("layer", "1"))));
  DatasetSidecar sidecar = ReadDatasetSidecar(path);
  sidecar.row_count = 21;
  WriteDatasetSidecar(path, sidecar);
  EXPECT_THAT(Inspect(path).problems, ElementsAre(AllOf(HasSubstr("heldout.parquet.nla_meta.yaml: row_count"),
                                                        HasSubstr("found 21"), HasSubstr("wanted 20"))));
  sidecar.row_count = 20;
  sidecar.d_model = 32;
  WriteDatasetSidecar(path, sidecar);
  EXPECT_THAT(Inspect(path).problems, ElementsAre(HasSubstr("extraction.d_model")));
  fs::remove(SidecarPath(path));
  EXPECT_THAT(Inspect(path).problems, ElementsAre(HasSubstr("nla_meta.yaml")));
  WriteFileAtomically(path, ReadFile(path).substr(0, 2000));
  EXPECT_THAT(Inspect(path).problems, Contains(HasSubstr("heldout.parquet")));
}

TEST_F(InspectTest, ActivationFilesOfEveryFormat) {
  const fs::path golden = NLA_SOURCE_DIR "/tests/data/golden/activations";
  for (const char* name : {"f4_big_fortran.npy", "deflated.npz"}) {
    const Inspection file = Inspect(golden / name);
    EXPECT_EQ(file.kind, "activations") << name;
    EXPECT_THAT(file.problems, IsEmpty()) << name;
    EXPECT_THAT(file.facts, AllOf(Contains(Pair("rows", "5")), Contains(Pair("d_model", "7")),
                                  Contains(Pair("norms", HasSubstr("median")))));
  }
  EXPECT_EQ(Inspect(golden / "arrays.jsonl").kind, "activations");
  EXPECT_THAT(Inspect(golden / "refused_int.npy").problems, ElementsAre(HasSubstr("unsupported type: found '<i4'")));
  EXPECT_THAT(Inspect(golden / "f4.safetensors").facts,
              AllOf(Contains(Pair("rows", "5")), Contains(Pair("tensors", "1"))));
  // Parquet without a dataset's columns needs no sidecar.
  const fs::path plain = NLA_SOURCE_DIR "/tests/fuzz/corpus/parquet/list.parquet";
  EXPECT_EQ(Inspect(plain).kind, "activations");
  EXPECT_THAT(Inspect(plain).problems, IsEmpty());
}

TEST_F(InspectTest, NormalisedActivationsAreNoted) {
  WriteFileAtomically(tiny_ / "unit.jsonl", "[0.6, 0.8]\n[1, 0]\n[0, -1]\n");
  EXPECT_THAT(Inspect(tiny_ / "unit.jsonl").facts, Contains(Pair("note", HasSubstr("normalised vectors"))));
  WriteFileAtomically(tiny_ / "zero.jsonl", "[0.6, 0.8]\n[0, 0]\n");
  EXPECT_THAT(Inspect(tiny_ / "zero.jsonl").problems, ElementsAre(HasSubstr("row 1: the vector is all zero")));
}

TEST_F(InspectTest, LinesOfText) {
  WriteFileAtomically(tiny_ / "corpus.jsonl", "{\"text\": \"one\"}\n{\"text\": \"three\"}\n");
  const Inspection corpus = Inspect(tiny_ / "corpus.jsonl");
  EXPECT_EQ(corpus.kind, "corpus");
  EXPECT_THAT(corpus.problems, IsEmpty());
  EXPECT_THAT(corpus.facts, AllOf(Contains(Pair("documents", "2")), Contains(Pair("bytes of text", "8"))));
  WriteFileAtomically(tiny_ / "other.jsonl", "{\"a\": 1}\n");
  EXPECT_THAT(Inspect(tiny_ / "other.jsonl").problems, ElementsAre(HasSubstr("no key activation_vector")));
}

TEST_F(InspectTest, PartsOfACheckpointAlone) {
  const Inspection tokenizer = Inspect(tiny_ / "base" / "tokenizer.json");
  EXPECT_EQ(tokenizer.kind, "tokenizer");
  EXPECT_THAT(tokenizer.problems, IsEmpty());
  EXPECT_THAT(tokenizer.facts, Contains(Pair("a sample line", HasSubstr("decoded to the same text"))));
  const Inspection chat = Inspect(NLA_SOURCE_DIR "/tests/text/golden/plain_chatml.jinja");
  EXPECT_EQ(chat.kind, "chat template");
  EXPECT_THAT(chat.problems, IsEmpty());
  WriteFileAtomically(tiny_ / "broken.jinja", "{% for x in");
  EXPECT_THAT(Inspect(tiny_ / "broken.jinja").problems, ElementsAre(HasSubstr("broken.jinja")));
  EXPECT_THAT(Inspect(tiny_ / "base" / "tokenizer_config.json").facts, Contains(Pair("ends a turn", "<|im_end|>")));
}

TEST_F(InspectTest, SidecarsAlone) {
  const Inspection model = Inspect(tiny_ / "av" / "nla_meta.yaml");
  EXPECT_EQ(model.kind, "model sidecar");
  EXPECT_THAT(model.problems, IsEmpty());
  EXPECT_THAT(model.facts, AllOf(Contains(Pair("layer", "1")), Contains(Pair("injection_scale", "6"))));
  const fs::path dataset = SidecarPath(tiny_.WriteHeldOut(20, true));
  EXPECT_EQ(Inspect(dataset).kind, "dataset sidecar");
  EXPECT_THAT(Inspect(dataset).facts,
              AllOf(Contains(Pair("rows", "20")), Contains(Pair("its file", HasSubstr("is there")))));
  WriteFileAtomically(dataset, "kind: nla_dataset\n");
  EXPECT_THAT(Inspect(dataset).problems, ElementsAre(HasSubstr("schema_version")));
}

TEST_F(InspectTest, UnknownThings) {
  WriteFileAtomically(tiny_ / "notes.txt", "hello");
  EXPECT_EQ(Inspect(tiny_ / "notes.txt").kind, "unknown");
  EXPECT_THAT(Inspect(tiny_ / "notes.txt").problems,
              ElementsAre(HasSubstr("notes.txt: nothing that is known: wanted a folder with pair.yaml")));
  EXPECT_EQ(Inspect(tiny_.path()).kind, "unknown");
  EXPECT_THAT(Refusal([&] { Inspect(tiny_ / "nothing"); }), HasSubstr("nothing: there is no such file or folder"));
}

}  // namespace
}  // namespace nla
