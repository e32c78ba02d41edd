// Stage label: rows, sidecar, dropped rows, and going on after a crash.
#include "datagen/label.h"

#include <gtest/gtest.h>

#include <set>

#include "base/file.h"
#include "data/activation_table.h"
#include "data/data_testing.h"
#include "data/dataset_sidecar.h"
#include "datagen/stage_io.h"

namespace nla {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Pair;
using testing::UnorderedElementsAre;

constexpr int64_t kRows = 1300;  // three chunks

std::vector<ActivationRow> Rows(int64_t count = kRows) {
  auto rows = MakeRows(count, 4);
  for (ActivationRow& row : rows)
    row.text = "The harbour master counted ships at dawn. " + row.text + " of the old ship";
  return rows;
}

void WriteDataset(const fs::path& path, const std::vector<ActivationRow>& rows, bool keep_text = true) {
  ActivationWriter writer(path, RowSchema::kBase, 4, keep_text);
  writer.Append(rows);
  writer.Finish();
  DatasetSidecar sidecar;
  sidecar.dataset_id = "base_m_L20_12345678__av_sft_raw";
  sidecar.row_count = static_cast<int64_t>(rows.size());
  sidecar.base_model = "m";
  sidecar.d_model = 4;
  sidecar.layer_index = 20;
  sidecar.corpus = "made-up";
  WriteDatasetSidecar(path, sidecar);
}

LabelOptions Options(const TestFolder& folder) {
  return {.input = folder / "raw.parquet", .output = folder / "explained.parquet"};
}

std::string MessageOf(const LabelOptions& options) {
  try {
    Label(options);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(LabelStage, ExplainsEveryRowAndKeepsTheRest) {
  TestFolder folder;
  const auto wanted = Rows();
  WriteDataset(folder / "raw.parquet", wanted);
  const LabelResult result = Label(Options(folder));
  EXPECT_EQ(result.rows_in, kRows);
  EXPECT_EQ(result.rows_out, kRows);
  EXPECT_TRUE(result.dropped.empty());

  ActivationReader reader = ActivationReader::Open(folder / "explained.parquet");
  EXPECT_EQ(reader.schema(), RowSchema::kExplained);
  const auto rows = reader.Next(kRows + 1);
  ASSERT_EQ(rows.size(), wanted.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(rows[i].doc_id, wanted[i].doc_id);
    EXPECT_EQ(rows[i].n_raw_tokens, wanted[i].n_raw_tokens);
    EXPECT_EQ(rows[i].activation, wanted[i].activation);
    EXPECT_EQ(rows[i].text, wanted[i].text);
    EXPECT_EQ(rows[i].explanation, ExplainContext(wanted[i].text));
  }
  EXPECT_FALSE(fs::exists(folder / "explained.parquet.parts"));
}

TEST(LabelStage, SidecarSaysWhoExplained) {
  TestFolder folder;
  WriteDataset(folder / "raw.parquet", Rows(3));
  Label(Options(folder));
  const DatasetSidecar sidecar = ReadDatasetSidecar(folder / "explained.parquet");
  EXPECT_EQ(sidecar.stage, "base");
  EXPECT_EQ(sidecar.dataset_id, "base_m_L20_12345678__av_sft_raw__explained");
  EXPECT_EQ(sidecar.parent_datasets, std::vector<std::string>{"base_m_L20_12345678__av_sft_raw"});
  EXPECT_EQ(sidecar.row_count, 3);
  ASSERT_TRUE(sidecar.api_summaries);
  EXPECT_EQ(sidecar.api_summaries->model, "context");
  EXPECT_EQ(sidecar.api_summaries->max_tokens, 40);
  EXPECT_EQ(sidecar.api_summaries->temperature, 0);
  EXPECT_THAT(sidecar.api_summaries->instruction_prompt, HasSubstr("Deterministic rule"));
}

TEST(LabelStage, DropsUnusableRowsAndCountsThem) {
  TestFolder folder;
  auto rows = Rows();
  for (const size_t i : {0, 511, 512}) rows[i].text = "";
  rows[1299].text = "word";
  WriteDataset(folder / "raw.parquet", rows);
  const LabelResult result = Label(Options(folder));
  EXPECT_EQ(result.rows_out, kRows - 4);
  EXPECT_THAT(result.dropped, UnorderedElementsAre(Pair("empty text", 3), Pair("no two features", 1)));
  EXPECT_EQ(ActivationReader::Open(folder / "explained.parquet").Next(1)[0].doc_id, rows[1].doc_id);
  EXPECT_EQ(ReadDatasetSidecar(folder / "explained.parquet").row_count, kRows - 4);
}

TEST(LabelStage, AChunkMayLoseAllItsRows) {
  TestFolder folder;
  auto rows = Rows();
  for (size_t i = 512; i < 1024; ++i) rows[i].text = "";
  WriteDataset(folder / "raw.parquet", rows);
  EXPECT_EQ(Label(Options(folder)).rows_out, kRows - 512);
}

TEST(LabelStage, NoUsableRowIsAnErrorThatLeavesNothing) {
  TestFolder folder;
  auto rows = Rows(5);
  for (ActivationRow& row : rows) row.text = "";
  WriteDataset(folder / "raw.parquet", rows);
  EXPECT_THAT(MessageOf(Options(folder)), HasSubstr("5 empty text"));
  EXPECT_FALSE(fs::exists(folder / "explained.parquet"));
  EXPECT_FALSE(fs::exists(folder / "explained.parquet.parts"));
}

// What a kill leaves: finished chunks with their notes, a chunk without a note, no output.
TEST(LabelStage, GoesOnAfterAKill) {
  TestFolder folder;
  auto rows = Rows();
  rows[3].text = "";
  WriteDataset(folder / "raw.parquet", rows);
  Label(Options(folder));
  const std::string whole = ReadFile(folder / "explained.parquet");
  const DatasetSidecar sidecar = ReadDatasetSidecar(folder / "explained.parquet");
  const fs::path parts = folder / "explained.parquet.parts";
  fs::remove(folder / "explained.parquet");
  fs::create_directories(parts);
  WriteFileAtomically(parts / "run_key", FindExtra(sidecar, "run_key"));
  // The first chunk as it would have been, but for one explanation, which shows that it is not made again.
  auto first = Rows(512);
  first.erase(first.begin() + 3);
  for (ActivationRow& row : first) row.explanation = *ExplainContext(row.text);
  first[7].explanation = "Kept.\n\nFrom before.";
  ActivationWriter writer(parts / "rows_00000000.parquet", RowSchema::kExplained, 4);
  writer.Append(first);
  writer.Finish();
  WriteFileAtomically(parts / "rows_00000000.json", R"({"empty text": 1})");
  WriteFileAtomically(parts / "rows_00000001.parquet", "half");

  const LabelResult result = Label(Options(folder));
  EXPECT_EQ(result.rows_resumed, 512);
  EXPECT_EQ(result.rows_out, kRows - 1);
  EXPECT_THAT(result.dropped, UnorderedElementsAre(Pair("empty text", 1)));
  const auto read = ActivationReader::Open(folder / "explained.parquet").Next(kRows);
  EXPECT_EQ(read[7].explanation, "Kept.\n\nFrom before.");
  EXPECT_EQ(read[600].explanation, ExplainContext(read[600].text));
  EXPECT_FALSE(fs::exists(parts));
}

TEST(LabelStage, RefusesToMixUnfinishedRuns) {
  TestFolder folder;
  WriteDataset(folder / "raw.parquet", Rows(5));
  WriteFileForTest(folder / "explained.parquet.parts/run_key", "another");
  EXPECT_THAT(MessageOf(Options(folder)), AllOf(HasSubstr("explained.parquet.parts"), HasSubstr("--replace")));
  LabelOptions options = Options(folder);
  options.replace = true;
  EXPECT_EQ(Label(options).rows_out, 5);
}

TEST(LabelStage, ADamagedNoteIsNamed) {
  TestFolder folder;
  WriteDataset(folder / "raw.parquet", Rows(5));
  Label(Options(folder));
  const std::string key = FindExtra(ReadDatasetSidecar(folder / "explained.parquet"), "run_key");
  fs::remove(folder / "explained.parquet");
  for (const char* note : {"", "{", "[]", R"({"empty text": -3})", R"({"empty text": "y"})"}) {
    WriteFileForTest(folder / "explained.parquet.parts/run_key", key);
    WriteFileForTest(folder / "explained.parquet.parts/rows_00000000.json", note);
    EXPECT_THAT(MessageOf(Options(folder)), AllOf(HasSubstr("rows_00000000.json"), HasSubstr("damaged"))) << note;
  }
}

TEST(LabelStage, KnowsItsOwnOutputAndNoOther) {
  TestFolder folder;
  WriteDataset(folder / "raw.parquet", Rows(5));
  Label(Options(folder));
  EXPECT_TRUE(Label(Options(folder)).up_to_date);
  LabelOptions other = Options(folder);
  other.provider_options.context.near_words = 3;
  EXPECT_THAT(MessageOf(other), HasSubstr("another file is there"));
  other.replace = true;
  EXPECT_FALSE(Label(other).up_to_date);
}

TEST(LabelStage, RefusesWhatItCannotUse) {
  TestFolder folder;
  WriteDataset(folder / "raw.parquet", Rows(5));
  LabelOptions options = Options(folder);
  options.provider = "oracle";
  EXPECT_THAT(MessageOf(options), AllOf(HasSubstr("\"oracle\""), HasSubstr("context")));
  options = Options(folder);
  options.provider_options.context.far_words = -1;
  EXPECT_THAT(MessageOf(options), HasSubstr("far -1"));
  options = Options(folder);
  options.provider_options.model_dir = folder / "nowhere";
  EXPECT_THAT(MessageOf(options), HasSubstr("nowhere"));
  options = Options(folder);
  options.output = options.input;
  EXPECT_THAT(MessageOf(options), HasSubstr("the output is the input"));
  WriteDataset(folder / "raw.parquet", Rows(5), /*keep_text=*/false);
  EXPECT_THAT(MessageOf(Options(folder)), HasSubstr("detokenized_text_truncated"));
  WriteDataset(folder / "raw.parquet", Rows());
  std::string bytes = ReadFile(folder / "raw.parquet");
  bytes[bytes.size() / 3] ^= 1;  // in a page of data, which has a checksum
  WriteFileForTest(folder / "raw.parquet", bytes);
  EXPECT_THAT(MessageOf(Options(folder)), HasSubstr("raw.parquet"));
  EXPECT_FALSE(fs::exists(folder / "explained.parquet"));
  EXPECT_FALSE(fs::exists(folder / "explained.parquet.parts"));
}

}  // namespace
}  // namespace nla
