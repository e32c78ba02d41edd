// Stage extract on a real model, SmolLM2-135M-Instruct at block 20, against transformers on the same texts.
#include <ATen/ops/from_blob.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "data/activation_table.h"
#include "data/data_testing.h"
#include "datagen/extract.h"
#include "model/model_testing.h"
#include "model/smollm2_testing.h"
#include "model/tensor_io.h"

namespace nla {
namespace {

constexpr int64_t kLayer = 20;
constexpr int64_t kReferenceTokens = 200;  // texts are cut there in the reference

class ExtractSmolLm2 : public ::testing::Test {
 protected:
  ExtractSmolLm2() : reference_(SafetensorsFile::Open(testing::SmolLm2Reference())) {
    std::string lines;
    for (const std::string& text : testing::SmolLm2Texts()) lines += nlohmann::json{{"text", text}}.dump() + "\n";
    WriteFileForTest(folder_ / "texts.jsonl", lines);
  }

  std::vector<ActivationRow> Rows(at::ScalarType compute) const {
    ExtractOptions options;
    options.model = testing::SmolLm2Directory();
    options.corpus = {folder_ / "texts.jsonl"};
    options.corpus_name = "texts";
    options.layer = kLayer;
    options.max_length = kReferenceTokens;
    options.positions.positions_per_doc = 40;
    options.positions.min_position = 3;
    options.compute = compute;
    options.out = folder_ / "base.parquet";
    options.replace = true;
    Extract(options);
    auto rows = ActivationReader::Open(options.out).Next(1000);
    EXPECT_EQ(rows.size(), 40 * testing::SmolLm2Texts().size());
    return rows;
  }
  // The row's vector as transformers computes it; `kind` is "" for fp32, "bf16." for its bf16.
  std::vector<float> Wanted(const ActivationRow& row, const std::string& kind) const {
    const std::string text = row.doc_id.substr(row.doc_id.rfind(':') + 1);
    const at::Tensor states_TD = testing::Golden(reference_, fmt::format("text{}.{}hidden.{}", text, kind, kLayer));
    const float* values = states_TD.const_data_ptr<float>() + (row.n_raw_tokens - 1) * states_TD.size(1);
    return {values, values + states_TD.size(1)};
  }
  static double RelativeError(const std::vector<float>& found, const std::vector<float>& wanted) {
    const auto tensor = [](const std::vector<float>& v) {
      return at::from_blob(const_cast<float*>(v.data()), {static_cast<int64_t>(v.size())}, at::kFloat);
    };
    return testing::RelativeError(tensor(found), tensor(wanted));
  }

  TestFolder folder_;
  SafetensorsFile reference_;
};

TEST_F(ExtractSmolLm2, ActivationsEqualTransformers) {
  double worst = 0;
  for (const ActivationRow& row : Rows(at::kFloat)) {
    worst = std::max(worst, RelativeError(row.activation, Wanted(row, "")));
  }
  EXPECT_LT(worst, 2e-4);
  RecordProperty("largest relative error", fmt::format("{:.3g}", worst));
}

TEST_F(ExtractSmolLm2, BFloat16IsAsNearAsTransformersOwn) {
  if (ChooseDType("auto") != at::kBFloat16) GTEST_SKIP() << "no bf16 arithmetic in this processor";
  double ours = 0, theirs = 0;
  for (const ActivationRow& row : Rows(at::kBFloat16)) {
    ours += RelativeError(row.activation, Wanted(row, ""));
    theirs += RelativeError(Wanted(row, "bf16."), Wanted(row, ""));
  }
  EXPECT_LT(ours, 1.2 * theirs);
  RecordProperty("share of transformers' error", fmt::format("{:.3g}", ours / theirs));
}

}  // namespace
}  // namespace nla
