// Typed fields: parsing of every type, YAML, --set, the dump's round trip, and the mistakes that users make.
#include "base/fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/file.h"
#include "base/scratch_testing.h"
#include "nla/error.h"

namespace nla {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct Options {
  bool resume = false;
  int64_t layer = 20;
  double learning_rate = 1e-4;
  std::string corpus = "docs";
  std::vector<std::string> files;
  int64_t lora_rank = 16;
  double lora_alpha = 32;
  std::string note;
};

FieldList FieldsOf(Options& options) {
  return {Field("layer", &options.layer, "block whose output is taken"),
          Field("resume", &options.resume, "go on from the last checkpoint"),
          Field("optim.learning_rate", &options.learning_rate, "peak learning rate"),
          Field("lora.rank", &options.lora_rank, "rank of the adapters"),
          Field("lora.alpha", &options.lora_alpha, "scale of the adapters"),
          Field("corpus", &options.corpus, "folder or file"),
          Field("files", &options.files, "inputs"),
          Field("note", &options.note, "free text")};
}

// The message of the usage error that `action` raises.
std::string UsageOf(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    return error.what();
  }
  return "no error";
}

class FieldsTest : public testing::Test {
 protected:
  void Load(const std::string& yaml, const std::string& section = "") {
    WriteFileAtomically(file_, yaml);
    LoadYaml(fields_, file_, section);
  }

  ScratchDirectory scratch_;
  fs::path file_ = scratch_ / "recipe.yaml";
  Options options_;
  FieldList fields_ = FieldsOf(options_);
};

TEST_F(FieldsTest, SetsEveryType) {
  SetFieldFromAssignment(fields_, "resume=true");
  SetFieldFromAssignment(fields_, "layer=-3");
  SetFieldFromAssignment(fields_, "optim.learning_rate=2e-5");
  SetFieldFromAssignment(fields_, "corpus=a=b: c");
  SetFieldFromAssignment(fields_, "files=[x, \"y, z\"]");
  SetFieldFromAssignment(fields_, "lora.alpha=8");
  EXPECT_TRUE(options_.resume);
  EXPECT_EQ(options_.layer, -3);
  EXPECT_EQ(options_.learning_rate, 2e-5);
  EXPECT_EQ(options_.corpus, "a=b: c");
  EXPECT_THAT(options_.files, ElementsAre("x", "y, z"));
  EXPECT_EQ(options_.lora_alpha, 8);
  SetFieldFromAssignment(fields_, "files=one");
  EXPECT_THAT(options_.files, ElementsAre("one"));
  SetFieldFromAssignment(fields_, "files=");
  EXPECT_THAT(options_.files, IsEmpty());
}

TEST_F(FieldsTest, RefusesWhatIsNotOfTheType) {
  for (const char* bad : {"resume=yes", "resume=1", "layer=3.5", "layer=3x", "layer=", "layer=99999999999999999999",
                          "optim.learning_rate=nan", "optim.learning_rate=inf", "optim.learning_rate=1e-4x",
                          "optim.learning_rate=", "files=[a, [b]]", "files={a: b}"}) {
    EXPECT_THAT(UsageOf([&] { SetFieldFromAssignment(fields_, bad); }),
                AllOf(HasSubstr("--set: "), HasSubstr("wanted")))
        << bad;
  }
  EXPECT_THAT(UsageOf([&] { SetFieldFromAssignment(fields_, "layer"); }), HasSubstr("wanted KEY=VALUE"));
  EXPECT_THAT(UsageOf([&] { SetFieldFromAssignment(fields_, "=3"); }), HasSubstr("wanted KEY=VALUE"));
  EXPECT_EQ(options_.layer, 20);
}

TEST_F(FieldsTest, NamesTheNearestKey) {
  EXPECT_EQ(UsageOf([&] { SetFieldFromAssignment(fields_, "lora.rnak=3"); }),
            "--set: unknown key \"lora.rnak\". Did you mean \"lora.rank\"?");
  EXPECT_THAT(UsageOf([&] { SetFieldFromAssignment(fields_, "temperature=1"); }),
              HasSubstr("Known keys: layer, resume"));
}

TEST_F(FieldsTest, LoadsNestedYaml) {
  Load("layer: 7\nlora:\n  rank: 4\n  alpha: 1\nfiles:\n  - a\n  - b\ncorpus: 'x: y'\nresume: true\n");
  EXPECT_EQ(options_.layer, 7);
  EXPECT_EQ(options_.lora_rank, 4);
  EXPECT_EQ(options_.lora_alpha, 1);
  EXPECT_THAT(options_.files, ElementsAre("a", "b"));
  EXPECT_EQ(options_.corpus, "x: y");
  EXPECT_EQ(options_.learning_rate, 1e-4) << "a key that is not given keeps its default";
}

TEST_F(FieldsTest, LoadsASection) {
  Load("train:\n  ar:\n    layer: 3\nother: {x: 1}\n", "train.ar");
  EXPECT_EQ(options_.layer, 3);
  EXPECT_THAT(UsageOf([&] { Load("train: {}\n", "train.av"); }), HasSubstr("has no section \"train.av\""));
  EXPECT_THAT(UsageOf([&] { Load("train: [1]\n", "train"); }), HasSubstr("wanted a mapping"));
}

TEST_F(FieldsTest, AcceptsAnEmptyDocument) { Load(""); }

TEST_F(FieldsTest, RefusesBadYamlWithItsLine) {
  EXPECT_THAT(UsageOf([&] { Load("layer: 1\n\nlora: {rnak: 2}\n"); }),
              AllOf(HasSubstr("recipe.yaml:3: unknown key \"lora.rnak\""), HasSubstr("lora.rank")));
  EXPECT_THAT(UsageOf([&] { Load("layer: [1, 2]\n"); }), HasSubstr("recipe.yaml:1: layer: wrong value"));
  EXPECT_THAT(UsageOf([&] { Load("layer: 1\nlayer: 2\n"); }), HasSubstr("given twice"));
  EXPECT_THAT(UsageOf([&] { Load("layer: {a: 1}\n"); }), HasSubstr("wanted one value"));
  EXPECT_THAT(UsageOf([&] { Load("lora: 3\n"); }), HasSubstr("unknown key \"lora\""));
  EXPECT_THAT(UsageOf([&] { Load("layer: [1\n"); }), HasSubstr("not valid YAML"));
  EXPECT_THAT(UsageOf([&] { Load("[1, 2]: 3\n"); }), HasSubstr("wanted a word"));
  EXPECT_THAT(UsageOf([&] { Load("- a\n"); }), HasSubstr("wanted a mapping"));
  EXPECT_THROW(LoadYaml(fields_, scratch_ / "missing.yaml"), Error);
}

TEST_F(FieldsTest, DumpReadsBackToTheSameValues) {
  options_.learning_rate = 0.1 + 0.2;
  options_.layer = -9223372036854775807;
  options_.resume = true;
  options_.corpus = "true";
  options_.files = {"a, b", "", "[x", "#no", "null", "ünï"};
  options_.note = "line one\n  line \"two\"\t\\ end: {x}\n";
  const std::string dump = DumpYaml(fields_);
  Options read;
  FieldList read_fields = FieldsOf(read);
  WriteFileAtomically(file_, dump);
  LoadYaml(read_fields, file_);
  EXPECT_EQ(read.learning_rate, options_.learning_rate);
  EXPECT_EQ(read.layer, options_.layer);
  EXPECT_EQ(read.resume, options_.resume);
  EXPECT_EQ(read.corpus, options_.corpus);
  EXPECT_EQ(read.files, options_.files);
  EXPECT_EQ(read.note, options_.note);
  EXPECT_EQ(DumpYaml(read_fields), dump);
}

TEST_F(FieldsTest, DumpNestsInListOrder) {
  EXPECT_EQ(DumpYaml(fields_),
            "layer: 20\nresume: false\noptim:\n  learning_rate: 0.0001\nlora:\n  rank: 16\n  alpha: 32\n"
            "corpus: docs\nfiles: []\nnote: \"\"\n");
}

TEST_F(FieldsTest, HelpShowsNameDefaultAndWords) {
  EXPECT_THAT(HelpText(fields_), AllOf(HasSubstr("lora.rank (16)"), HasSubstr("rank of the adapters")));
}

TEST(NearestName, FindsSlipsAndNothingElse) {
  const std::vector<std::string> known{"layer", "learning_rate", "batch"};
  EXPECT_EQ(NearestName(known, "layr"), "layer");
  EXPECT_EQ(NearestName(known, "learning-rate"), "learning_rate");
  EXPECT_EQ(NearestName(known, "bacth"), "batch");
  EXPECT_EQ(NearestName(known, "temperature"), "");
  EXPECT_EQ(NearestName({}, "x"), "");
}

}  // namespace
}  // namespace nla
