// What is believed of a file of activations: each doubt alone, what --force does, and files without a sidecar.
#include "nla/activation_input.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error_testing.h"
#include "data/vector_writer.h"
#include "nla/tiny_pair_testing.h"

namespace nla {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class ActivationInputTest : public testing::Test {
 protected:
  ActivationInputTest() : model_(ReadModelSidecar(tiny_ / "av")) { input_.path = tiny_.WriteHeldOut(20, false); }

  void EditDataset(const std::function<void(DatasetSidecar&)>& edit) const {
    DatasetSidecar sidecar = ReadDatasetSidecar(input_.path);
    edit(sidecar);
    WriteDatasetSidecar(input_.path, sidecar);
  }
  // Random vectors as a .npy without a sidecar, each row changed by `edit`.
  void UseNpy(const std::function<void(std::span<float>)>& edit) {
    std::vector<float> vectors = RandomVectors(20, 3);
    for (int64_t i = 0; i < 20; ++i) edit(std::span(vectors).subspan(i * kTinyWidth, kTinyWidth));
    input_.path = tiny_ / "plain.npy";
    const auto writer = VectorWriter::Open(input_.path, 20, kTinyWidth);
    writer->Append(vectors);
    writer->Finish();
  }
  std::string Refused() const {
    return Refusal([&] { OpenActivations(input_, model_); });
  }
  // The refusal names this, and --force goes on.
  void ExpectDoubt(const std::string& part) {
    EXPECT_THAT(Refused(), AllOf(HasSubstr(part), HasSubstr("or pass --force")));
    input_.force = true;
    EXPECT_EQ(Refused(), "accepted");
    input_.force = false;
  }

  TinyPair tiny_;
  ModelSidecar model_;
  ActivationInput input_;
};

void ScaleBy(std::span<float> row, double factor) {
  for (float& x : row) x = static_cast<float>(x * factor);
}

double NormOf(std::span<const float> row) {
  double sum = 0;
  for (const float x : row) sum += static_cast<double>(x) * x;
  return std::sqrt(sum);
}

TEST_F(ActivationInputTest, SoundRowsAreReadFromTheStart) {
  CheckedActivations checked = OpenActivations(input_, model_);
  EXPECT_EQ(checked.facts.layer, kTinyLayer);
  EXPECT_EQ(checked.facts.base_model, "tiny");
  EXPECT_EQ(checked.facts.norms.rows, 20);
  EXPECT_NEAR(checked.facts.norms.p50, 8, 1);  // sqrt(64)
  EXPECT_EQ(checked.reader.Next(100).size(), 20U);
  input_.limit = 7;
  EXPECT_EQ(OpenActivations(input_, model_).facts.norms.rows, 7);
}

TEST_F(ActivationInputTest, AnotherLayer) {
  EditDataset([](DatasetSidecar& sidecar) { sidecar.layer_index = 2; });
  ExpectDoubt("heldout.parquet: activations of another layer than the model was trained on: found K = 2, wanted K = 1");
}

TEST_F(ActivationInputTest, LayerFromTheColumnWhereThereIsNoSidecar) {
  fs::remove(SidecarPath(input_.path));
  EXPECT_EQ(Refused(), "accepted");
  model_.layer = 2;
  ExpectDoubt("activations of another layer");
}

TEST_F(ActivationInputTest, LayerAsTheUserSaysIt) {
  UseNpy([](std::span<float>) {});
  EXPECT_EQ(Refused(), "accepted");  // nothing says which: a warning
  input_.layer = kTinyLayer;
  EXPECT_EQ(OpenActivations(input_, model_).facts.layer, kTinyLayer);
  input_.layer = 2;
  ExpectDoubt("activations of another layer");
}

TEST_F(ActivationInputTest, TheUserAgainstTheSidecar) {
  input_.layer = 2;
  ExpectDoubt("--layer: is not what");
  input_.layer = kTinyLayer;
  input_.base_model = "other";
  ExpectDoubt("--base-model: is not what");
}

TEST_F(ActivationInputTest, AnotherModel) {
  EditDataset([](DatasetSidecar& sidecar) { sidecar.base_model = "Somebody/Other"; });
  ExpectDoubt("activations of another base model: found Somebody/Other, wanted tiny");
  EditDataset([](DatasetSidecar& sidecar) { sidecar.base_model = "models/TINY/"; });  // the same, written otherwise
  EXPECT_EQ(Refused(), "accepted");
  // Hashes, where both sides have them, outweigh names.
  EditDataset([](DatasetSidecar& sidecar) { SetExtra(sidecar, "base_weights_hash", "00"); });
  ASSERT_NE(model_.base_weights_hash, "");
  ExpectDoubt("by the hash of its weights");
  UseNpy([](std::span<float>) {});
  input_.base_model = "other";
  ExpectDoubt("activations of another base model: found other");
}

TEST_F(ActivationInputTest, NormalisedVectors) {
  UseNpy([](std::span<float> row) { ScaleBy(row, 1 / NormOf(row)); });
  ExpectDoubt(
      "every vector has the same norm, so these are directions or normalised vectors: found norm 1 (unit vectors), "
      "wanted raw");
  UseNpy([](std::span<float> row) { ScaleBy(row, 8 / NormOf(row)); });
  ExpectDoubt("found norm 8 (the square root of the width)");
  UseNpy([](std::span<float> row) { ScaleBy(row, kTinyInjectionScale / NormOf(row)); });
  ExpectDoubt("the verbalizer's injection_scale");
  UseNpy([](std::span<float> row) { ScaleBy(row, 7.5 / NormOf(row)); });
  ExpectDoubt("found norm 7.5, wanted");
  // One vector alone is told by a norm that no activation has by chance.
  input_.limit = 1;
  EXPECT_EQ(Refused(), "accepted");
  UseNpy([](std::span<float> row) { ScaleBy(row, 1 / NormOf(row)); });
  ExpectDoubt("found norm 1 (unit vectors)");
}

TEST_F(ActivationInputTest, SidecarThatSaysNormalised) {
  EditDataset([](DatasetSidecar& sidecar) { sidecar.norm = "unit"; });
  ExpectDoubt("extraction.norm: the sidecar says that the vectors were normalised: found unit");
}

TEST_F(ActivationInputTest, NormsFarFromTheInjectionScale) {
  UseNpy([](std::span<float> row) { ScaleBy(row, 10); });
  ExpectDoubt("the norms are far from the verbalizer's injection_scale (6)");
  UseNpy([](std::span<float> row) { ScaleBy(row, 0.1); });
  ExpectDoubt("the norms are far from the verbalizer's injection_scale (6)");
  UseNpy([](std::span<float> row) { ScaleBy(row, 2); });
  EXPECT_EQ(Refused(), "accepted");
}

TEST_F(ActivationInputTest, NormsFarFromTheRecordedOnes) {
  const auto record = [&](double factor) {
    EditDataset([&](DatasetSidecar& sidecar) {
      for (const auto& [key, norm] : {std::pair("norm_p5", 6.8), {"norm_p50", 8}, {"norm_p75", 8.6}, {"norm_p95", 9}}) {
        SetExtra(sidecar, key, std::to_string(norm * factor));
      }
    });
  };
  record(1);
  EXPECT_EQ(Refused(), "accepted");
  record(4);
  ExpectDoubt("the norms are far from those that its sidecar records");
}

TEST_F(ActivationInputTest, AnotherWidthCannotBeForced) {
  input_.force = true;
  model_.d_model = 32;
  EXPECT_THAT(Refused(), HasSubstr("activations of another width than the model's: found 64, wanted 32"));
}

TEST_F(ActivationInputTest, ABadRowIsNamedBeforeAnyWork) {
  int64_t row = 0;
  UseNpy([&](std::span<float> values) {
    if (row++ == 17) values[3] = std::numeric_limits<float>::infinity();
  });
  EXPECT_THAT(Refused(), HasSubstr("plain.npy: row 17: value 3 of the vector is not a finite"));
  input_.limit = 17;
  EXPECT_EQ(Refused(), "accepted");
}

}  // namespace
}  // namespace nla
