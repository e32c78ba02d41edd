// Stage extract on the tiny checkpoint: rows against a plain forward pass of each document, slices, figures, sidecar.
// Resuming and refusals are extract_resume_test.cc's, the real model extract_slow_test.cc's.
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/file.h"
#include "data/activation_table.h"
#include "data/dataset_sidecar.h"
#include "datagen/extract_testing.h"
#include "datagen/stage_io.h"
#include "model/decoder.h"

namespace nla {
namespace {

// What the stage should write, the plain way: one document at a time, all blocks, the output of block K at each row.
class PlainExtraction {
 public:
  explicit PlainExtraction(const fs::path& model)
      : tokenizer_(Tokenizer::Load(model)), decoder_(Decoder::Load(Checkpoint::Open(model), {})) {}

  std::vector<ActivationRow> Rows(int64_t index, const ExtractOptions& options) {
    const at::NoGradGuard no_grad;
    const std::string doc_id = options.corpus_name + ":" + options.split + ":" + std::to_string(index);
    std::vector<TokenId> ids = tokenizer_.Encode(ExtractText(index));
    if (static_cast<int64_t>(ids.size()) > options.max_length) ids.resize(options.max_length);
    const auto positions = ChoosePositions(
        ids, [&](TokenId id) { return tokenizer_.IsSpecial(id); }, doc_id, options.positions);
    if (positions.empty()) return {};
    at::Tensor wanted_TD;
    decoder_.Forward(decoder_.Embed(ids), {.lengths = {static_cast<int64_t>(ids.size())}},
                     [&](int64_t block, const at::Tensor& residual_TD) {
                       if (block == options.layer) wanted_TD = residual_TD.clone();
                     });
    std::vector<ActivationRow> rows;
    for (const int64_t position : positions) {
      const float* values = wanted_TD.const_data_ptr<float>() + position * kTinyCheckpointWidth;
      ActivationRow row;
      row.n_raw_tokens = position + 1;
      row.activation_layer = options.layer;
      row.doc_id = doc_id;
      row.activation.assign(values, values + kTinyCheckpointWidth);
      row.text = tokenizer_.Decode(std::span(ids).first(position + 1));
      rows.push_back(std::move(row));
    }
    tokens_ += *std::max_element(positions.begin(), positions.end()) + 1;
    return rows;
  }
  std::vector<ActivationRow> Rows(int64_t begin, int64_t end, const ExtractOptions& options) {
    std::vector<ActivationRow> all;
    for (int64_t i = begin; i < end; ++i) {
      for (ActivationRow& row : Rows(i, options)) all.push_back(std::move(row));
    }
    return all;
  }
  int64_t tokens() const { return tokens_; }

 private:
  Tokenizer tokenizer_;
  Decoder decoder_;
  int64_t tokens_ = 0;
};

TEST_F(ExtractStage, RowsEqualAPlainForwardPass) {
  const ExtractOptions options = Options();
  PlainExtraction plain(options.model);
  const ExtractReport report = Extract(options);
  const auto wanted = plain.Rows(0, kExtractDocuments, options);
  ExpectSameButRounding(ReadRows(options.out), wanted);
  EXPECT_EQ(report.rows, static_cast<int64_t>(wanted.size()));
  EXPECT_EQ(report.documents, kExtractDocuments);
  EXPECT_EQ(report.tokens, plain.tokens());
  int64_t without = 0;
  for (int64_t i = 0; i < kExtractDocuments; ++i) without += plain.Rows(i, options).empty() ? 1 : 0;
  EXPECT_EQ(report.documents_without, without);
  EXPECT_GT(without, 10);
  EXPECT_GT(report.rows, 700);
  EXPECT_FALSE(fs::exists(options.out.string() + ".parts"));
}

TEST_F(ExtractStage, TextNeverBecomesAControlToken) {
  bool seen = false;
  const ExtractOptions options = Options();
  Extract(options);
  // A special token would be skipped in the text.
  for (const ActivationRow& row : ReadRows(options.out))
    seen = seen || row.text.find("<|im_end|>") != std::string::npos;
  EXPECT_TRUE(seen);
}

TEST_F(ExtractStage, DocumentsOfABatchDoNotMix) {
  ExtractOptions together = Options("together.parquet");
  ExtractOptions alone = Options("alone.parquet");
  together.length = alone.length = 40;
  together.batch_tokens = 1000;
  alone.batch_tokens = 1;
  Extract(together);
  Extract(alone);
  ExpectSameButRounding(ReadRows(together.out), ReadRows(alone.out));
}

TEST_F(ExtractStage, SlicesMergeToTheWhole) {
  // Documents are numbered in the whole corpus; the second slice is exactly one chunk and ends the corpus.
  std::vector<ActivationRow> parts;
  for (const auto& [start, length] : {std::pair<int64_t, int64_t>{0, 44}, {44, 256}}) {
    ExtractOptions options = Options("part_" + std::to_string(start) + ".parquet");
    options.start = start;
    options.length = length;
    EXPECT_EQ(Extract(options).documents, length);
    for (ActivationRow& row : ReadRows(options.out)) parts.push_back(std::move(row));
    const DatasetSidecar sidecar = ReadDatasetSidecar(options.out);
    EXPECT_EQ(sidecar.corpus_start, start);
    EXPECT_EQ(sidecar.corpus_length, length);
  }
  const ExtractOptions whole = Options();
  Extract(whole);
  ExpectSameButRounding(parts, ReadRows(whole.out));
}

TEST_F(ExtractStage, EveryLayerIsThatBlocksOutput) {
  for (int64_t layer = 0; layer < kTinyCheckpointBlocks; ++layer) {
    ExtractOptions options = Options("layer_" + std::to_string(layer) + ".parquet");
    options.layer = layer;
    options.length = 20;
    Extract(options);
    ExpectSameButRounding(ReadRows(options.out), PlainExtraction(options.model).Rows(0, 20, options));
  }
}

TEST_F(ExtractStage, CutsLongDocuments) {
  ExtractOptions options = Options();
  options.length = 30;
  options.max_length = 12;
  options.positions.positions_per_doc = 50;
  Extract(options);
  const auto rows = ReadRows(options.out);
  ExpectSameButRounding(rows, PlainExtraction(options.model).Rows(0, 30, options));
  EXPECT_EQ(std::max_element(rows.begin(), rows.end(),
                             [](const auto& a, const auto& b) { return a.n_raw_tokens < b.n_raw_tokens; })
                ->n_raw_tokens,
            12);
}

TEST_F(ExtractStage, CutsAtTheModelsLongestPosition) {
  ExtractOptions options = Options();
  std::string text;
  for (int i = 0; i < 900; ++i) text += "rain ";
  WriteFileForTest(folder_ / "long.txt", text);
  options.corpus = {folder_ / "long.txt"};
  options.positions.positions_per_doc = 1000;
  options.positions.min_position = kTinyCheckpointPositions - 2;
  EXPECT_EQ(Extract(options).rows, 2);
}

TEST_F(ExtractStage, NormPercentilesAreTheRows) {
  const ExtractOptions options = Options();
  const ExtractReport report = Extract(options);
  std::vector<double> norms;
  for (const ActivationRow& row : ReadRows(options.out)) norms.push_back(Norm(row.activation));
  std::sort(norms.begin(), norms.end());
  const auto at = [&](double fraction) {
    return norms[static_cast<size_t>(fraction * static_cast<double>(norms.size() - 1))];
  };
  EXPECT_DOUBLE_EQ(report.norm_p5, at(0.05));
  EXPECT_DOUBLE_EQ(report.norm_p50, at(0.5));
  EXPECT_DOUBLE_EQ(report.norm_p75, at(0.75));
  EXPECT_DOUBLE_EQ(report.norm_p95, at(0.95));
  EXPECT_LT(report.norm_p5, report.norm_p95);
}

TEST_F(ExtractStage, SidecarHoldsTheFacts) {
  ExtractOptions options = Options();
  options.start = 10;
  options.length = 1000;  // more than there are
  options.base_model = "someone/tiny";
  const ExtractReport report = Extract(options);
  const DatasetSidecar sidecar = ReadDatasetSidecar(options.out);
  EXPECT_EQ(sidecar.stage, "base");
  EXPECT_THAT(sidecar.dataset_id, testing::MatchesRegex("base_tiny_L1_[0-9a-f]{8}"));
  EXPECT_EQ(sidecar.row_count, report.rows);
  EXPECT_EQ(sidecar.base_model, "someone/tiny");
  EXPECT_EQ(sidecar.d_model, kTinyCheckpointWidth);
  EXPECT_EQ(sidecar.layer_index, kExtractLayer);
  EXPECT_EQ(sidecar.norm, "none");
  EXPECT_EQ(sidecar.corpus, "made-up");
  EXPECT_EQ(sidecar.corpus_start, 10);
  EXPECT_EQ(sidecar.corpus_length, kExtractDocuments - 10);
  EXPECT_EQ(sidecar.positions_per_doc, 3);
  EXPECT_TRUE(sidecar.keep_debug_metadata);
  EXPECT_FALSE(sidecar.tokens);
  EXPECT_EQ(FindExtra(sidecar, "seed"), "9");
  EXPECT_EQ(FindExtra(sidecar, "min_position"), "5");
  EXPECT_EQ(FindExtra(sidecar, "max_length"), "2048");
  EXPECT_EQ(FindExtra(sidecar, "base_weights_hash"), Checkpoint::Open(options.model).WeightsHash());
  EXPECT_NEAR(std::stod(FindExtra(sidecar, "norm_p75")), report.norm_p75, 1e-4 * report.norm_p75);
}

TEST_F(ExtractStage, TakesNamesFromPathsWhereNoneAreGiven) {
  ExtractOptions options = Options();
  options.corpus_name.clear();
  options.split = "test";
  options.length = 3;
  Extract(options);
  EXPECT_EQ(ReadRows(options.out).front().doc_id, options.corpus.front().string() + ":test:0");
  EXPECT_EQ(ReadDatasetSidecar(options.out).base_model, "model");
}

TEST_F(ExtractStage, TextMayBeLeftOut) {
  ExtractOptions options = Options();
  options.length = 5;
  options.keep_text = false;
  Extract(options);
  ActivationReader reader = ActivationReader::Open(options.out);
  EXPECT_FALSE(reader.has_text());
  EXPECT_GT(reader.row_count(), 5);
  EXPECT_FALSE(ReadDatasetSidecar(options.out).keep_debug_metadata);
}

TEST_F(ExtractStage, BFloat16StaysNear) {
  ExtractOptions options = Options();
  options.length = 20;
  options.compute = at::kBFloat16;
  Extract(options);
  const auto rows = ReadRows(options.out);
  const auto wanted = PlainExtraction(options.model).Rows(0, 20, options);
  ASSERT_EQ(rows.size(), wanted.size());
  double worst = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    worst = std::max(worst, RelativeDifference(rows[i].activation, wanted[i].activation));
  }
  // bf16 keeps 8 bits: a relative 2^-9 each rounding, over two blocks' worth of them.
  EXPECT_LT(worst, 0.05);
  EXPECT_GT(worst, 1e-4);
}

}  // namespace
}  // namespace nla
