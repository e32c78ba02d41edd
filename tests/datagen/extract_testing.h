// What the tests of stage extract share: a corpus, a folder with the tiny checkpoint, and comparison of rows.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "data/activation_row.h"
#include "data/data_testing.h"
#include "datagen/extract.h"
#include "model/tiny_checkpoint.h"
#include "nla/error.h"

namespace nla {

inline constexpr int64_t kExtractLayer = 1;
inline constexpr int64_t kExtractDocuments = 300;  // two chunks

// The corpus's documents of 0 to 40 words; every seventh is too short to give a row, and some spell a special token.
std::string ExtractText(int64_t index);
std::vector<ActivationRow> ReadRows(const std::filesystem::path& path);
double Norm(const std::vector<float>& values);
// ‖a − b‖ / ‖b‖.
double RelativeDifference(const std::vector<float>& a, const std::vector<float>& b);
// Equal but for the rounding of fp32 sums in another order.
void ExpectSameButRounding(const std::vector<ActivationRow>& found, const std::vector<ActivationRow>& wanted);

class ExtractStage : public testing::Test {
 protected:
  static void SetUpTestSuite();
  static void TearDownTestSuite() { delete shared_; }

  // Extraction of the whole corpus to `name` in this test's folder.
  ExtractOptions Options(const std::string& name = "base.parquet") const;
  // What Extract throws.
  static std::optional<Error> ErrorOf(const ExtractOptions& options);
  bool IsEmpty() const { return std::filesystem::is_empty(folder_.path()); }

  static TestFolder* shared_;  // the model and the corpus, never written to by a test
  TestFolder folder_;
};

}  // namespace nla
