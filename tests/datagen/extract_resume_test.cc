// Stage extract: going on after a crash, what is there already, and what it refuses; a refusal leaves nothing behind.
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "data/activation_table.h"
#include "data/dataset_sidecar.h"
#include "datagen/extract_testing.h"
#include "datagen/stage_io.h"

namespace nla {
namespace {

using testing::AllOf;
using testing::HasSubstr;

using ExtractStageAgain = ExtractStage;

// What a kill leaves: a finished chunk with its note, a chunk without one, no output.
TEST_F(ExtractStageAgain, GoesOnAfterAKill) {
  const ExtractOptions options = Options();
  const ExtractReport whole = Extract(options);
  const auto wanted = ReadRows(options.out);
  const std::string key = FindExtra(ReadDatasetSidecar(options.out), "run_key");
  fs::remove(options.out);
  const fs::path parts = options.out.string() + ".parts";
  WriteFileForTest(parts / "run_key", key);
  // The first chunk as it would have been, but for one vector, which shows that it is not made again.
  ExtractOptions first = Options("first.parquet");
  first.length = 256;
  const ExtractReport first_report = Extract(first);
  auto first_rows = ReadRows(first.out);
  first_rows[7].activation.assign(kTinyCheckpointWidth, 2.5F);
  ActivationWriter writer(parts / "rows_00000000.parquet", RowSchema::kBase, kTinyCheckpointWidth);
  writer.Append(first_rows);
  writer.Finish();
  const nlohmann::json note = {{"tokens", first_report.tokens},
                               {"documents_without", first_report.documents_without},
                               {"rows", first_report.rows}};
  WriteFileForTest(parts / "rows_00000000.json", note.dump());
  WriteFileForTest(parts / "rows_00000001.parquet", "half");

  const ExtractReport report = Extract(options);
  EXPECT_EQ(report.rows, whole.rows);
  EXPECT_EQ(report.tokens, whole.tokens);
  EXPECT_EQ(report.documents_without, whole.documents_without);
  auto rows = ReadRows(options.out);
  ASSERT_GT(rows.size(), 7U);
  EXPECT_EQ(rows[7].activation, first_rows[7].activation);
  rows[7].activation = wanted[7].activation;
  ExpectSameButRounding(rows, wanted);
  EXPECT_FALSE(fs::exists(parts));
}

TEST_F(ExtractStageAgain, ADamagedNoteIsNamed) {
  ExtractOptions options = Options();
  options.length = 5;
  Extract(options);
  const std::string key = FindExtra(ReadDatasetSidecar(options.out), "run_key");
  fs::remove(options.out);
  const fs::path parts = options.out.string() + ".parts";
  for (const char* note : {"", "{", "[]", "{}", R"({"tokens": "many"})", R"({"tokens": -1})", R"({"tokens": 5})"}) {
    WriteFileForTest(parts / "run_key", key);
    WriteFileForTest(parts / "rows_00000000.json", note);
    const auto error = ErrorOf(options);
    ASSERT_TRUE(error) << note;
    EXPECT_THAT(error->what(), AllOf(HasSubstr("rows_00000000.json"), HasSubstr("damaged"))) << note;
  }
  // The note's mend works.
  fs::remove(parts / "rows_00000000.json");
  EXPECT_GT(Extract(options).rows, 5);
}

TEST_F(ExtractStageAgain, RefusesToMixUnfinishedRuns) {
  ExtractOptions options = Options();
  options.length = 5;
  const fs::path parts = options.out.string() + ".parts";
  WriteFileForTest(parts / "run_key", "another");
  const auto error = ErrorOf(options);
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), AllOf(HasSubstr("base.parquet.parts"), HasSubstr("--replace")));
  EXPECT_TRUE(fs::exists(parts / "run_key"));
  options.replace = true;
  EXPECT_GT(Extract(options).rows, 5);
  EXPECT_FALSE(fs::exists(parts));
}

TEST_F(ExtractStageAgain, KnowsItsOwnOutputAndNoOther) {
  ExtractOptions options = Options();
  options.length = 5;
  const ExtractReport made = Extract(options);
  const auto written = fs::last_write_time(options.out);
  const ExtractReport again = Extract(options);
  EXPECT_EQ(fs::last_write_time(options.out), written);
  EXPECT_EQ(again.rows, made.rows);
  EXPECT_EQ(again.tokens, made.tokens);
  EXPECT_NEAR(again.norm_p75, made.norm_p75, 1e-4 * made.norm_p75);
  for (const auto& change : std::vector<std::function<void(ExtractOptions&)>>{
           [](ExtractOptions& o) { o.layer = 2; }, [](ExtractOptions& o) { o.positions.seed = 1; },
           [](ExtractOptions& o) { o.length = 6; }, [](ExtractOptions& o) { o.compute = at::kBFloat16; }}) {
    ExtractOptions other = options;
    change(other);
    const auto error = ErrorOf(other);
    ASSERT_TRUE(error);
    EXPECT_THAT(error->what(), AllOf(HasSubstr("another file is there"), HasSubstr("--replace")));
  }
  ExtractOptions other = options;
  other.layer = 2;
  other.replace = true;
  Extract(other);
  EXPECT_EQ(ReadDatasetSidecar(options.out).layer_index, 2);
}

TEST_F(ExtractStageAgain, RefusesALayerBeyondTheModel) {
  for (const int64_t layer : {int64_t{-1}, kTinyCheckpointBlocks, int64_t{1000}}) {
    ExtractOptions options = Options();
    options.layer = layer;
    const auto error = ErrorOf(options);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->kind(), ErrorKind::kUsage);
    EXPECT_THAT(error->what(),
                AllOf(HasSubstr("--layer"), HasSubstr("found " + std::to_string(layer)), HasSubstr("wanted 0 to 2")));
  }
  EXPECT_TRUE(IsEmpty());
}

TEST_F(ExtractStageAgain, RefusesCorporaThatGiveNothing) {
  const TestFolder corpora;
  WriteFileForTest(corpora / "empty.jsonl", "");
  WriteFileForTest(corpora / "short.jsonl", "{\"text\": \"rain\"}\n{\"text\": \"\"}\n");
  WriteFileForTest(corpora / "other.jsonl", "{\"body\": \"rain\"}\n");
  const std::pair<const char*, const char*> cases[] = {{"empty.jsonl", "no documents"},
                                                       {"short.jsonl", "none of 2 documents"},
                                                       {"other.jsonl", "the text is missing"},
                                                       {"none.jsonl", "does not exist"}};
  for (const auto& [name, part] : cases) {
    ExtractOptions options = Options();
    options.corpus = {corpora / name};
    const auto error = ErrorOf(options);
    ASSERT_TRUE(error) << name;
    EXPECT_THAT(error->what(), AllOf(HasSubstr(name), HasSubstr(part)));
    EXPECT_TRUE(IsEmpty()) << name;
  }
  ExtractOptions options = Options();
  options.start = kExtractDocuments;
  const auto error = ErrorOf(options);
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), HasSubstr("no documents in the slice"));
  EXPECT_TRUE(IsEmpty());
}

TEST_F(ExtractStageAgain, RefusesOptionsWithoutMeaning) {
  for (const auto& change : std::vector<std::function<void(ExtractOptions&)>>{
           [](ExtractOptions& o) { o.start = -1; }, [](ExtractOptions& o) { o.length = -1; },
           [](ExtractOptions& o) { o.max_length = 0; }, [](ExtractOptions& o) { o.positions.positions_per_doc = 0; },
           [](ExtractOptions& o) { o.positions.min_position = -1; }, [](ExtractOptions& o) { o.corpus.clear(); }}) {
    ExtractOptions options = Options();
    change(options);
    const auto error = ErrorOf(options);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->kind(), ErrorKind::kUsage);
  }
  EXPECT_TRUE(IsEmpty());
}

}  // namespace
}  // namespace nla
