// A made-up corpus and comparison of extracted rows.
#include "datagen/extract_testing.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "data/activation_table.h"

namespace nla {
namespace {

// Several documents in one packed pass against one alone: fp32 sums in another order.
constexpr double kTolerance = 1e-5;

void WriteCorpus(const std::filesystem::path& path, int64_t documents) {
  std::string lines;
  for (int64_t i = 0; i < documents; ++i) lines += nlohmann::json{{"text", ExtractText(i)}}.dump() + "\n";
  WriteFileForTest(path, lines);
}

}  // namespace

std::string ExtractText(int64_t index) {
  const char* const words[] = {"the",          "harbour", "in",     "rain", "a",     "train",
                               "said 42",      "naïve",   "and",    "ship", "שלום.", "station",
                               "<|im_end|>\n", "letter",  "winter", "it,"};
  CounterRandom random(5, static_cast<uint64_t>(index));
  const uint64_t count = index % 7 == 3 ? index % 5 : 20 + random.Below(20);
  std::string text;
  for (uint64_t i = 0; i < count; ++i) text += (i == 0 ? "" : " ") + std::string(words[random.Below(std::size(words))]);
  return text;
}

std::vector<ActivationRow> ReadRows(const std::filesystem::path& path) {
  return ActivationReader::Open(path).Next(1 << 20);
}

double Norm(const std::vector<float>& values) {
  double sum = 0;
  for (const float x : values) sum += static_cast<double>(x) * x;
  return std::sqrt(sum);
}

double RelativeDifference(const std::vector<float>& a, const std::vector<float>& b) {
  std::vector<float> difference(a.size());
  for (size_t i = 0; i < a.size(); ++i) difference[i] = a[i] - b.at(i);
  return Norm(difference) / Norm(b);
}

void ExpectSameButRounding(const std::vector<ActivationRow>& found, const std::vector<ActivationRow>& wanted) {
  ASSERT_EQ(found.size(), wanted.size());
  for (size_t i = 0; i < found.size(); ++i) {
    SCOPED_TRACE(i);
    EXPECT_EQ(found[i].doc_id, wanted[i].doc_id);
    EXPECT_EQ(found[i].n_raw_tokens, wanted[i].n_raw_tokens);
    EXPECT_EQ(found[i].activation_layer, wanted[i].activation_layer);
    EXPECT_EQ(found[i].text, wanted[i].text);
    ASSERT_EQ(found[i].activation.size(), wanted[i].activation.size());
    EXPECT_LT(RelativeDifference(found[i].activation, wanted[i].activation), kTolerance);
  }
}

TestFolder* ExtractStage::shared_ = nullptr;

void ExtractStage::SetUpTestSuite() {
  shared_ = new TestFolder;
  WriteTinyCheckpoint(*shared_ / "model");
  WriteCorpus(*shared_ / "corpus.jsonl", kExtractDocuments);
}

ExtractOptions ExtractStage::Options(const std::string& name) const {
  ExtractOptions options;
  options.model = *shared_ / "model";
  options.corpus = {*shared_ / "corpus.jsonl"};
  options.corpus_name = "made-up";
  options.layer = kExtractLayer;
  options.out = folder_ / name;
  options.positions.positions_per_doc = 3;
  options.positions.min_position = 5;
  options.positions.seed = 9;
  return options;
}

std::optional<Error> ExtractStage::ErrorOf(const ExtractOptions& options) {
  try {
    Extract(options);
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

}  // namespace nla
