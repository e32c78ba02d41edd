// Training on several processes that mpirun starts does what one process does, to rounding; and goes on with another
// number of them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>

#include "base/file.h"
#include "train/rl_testing.h"
#include "weights/safetensors.h"

namespace nla {
namespace {

// fp32 sums in another order, through the steps of a run.
constexpr double kTolerance = 2e-3;

class Ranks : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(fs::path(NLA_PROGRAM).parent_path() / "libnla_mpi.so") ||
        std::system("mpirun --allow-run-as-root --oversubscribe -n 2 true >/dev/null 2>&1") != 0) {
      GTEST_SKIP() << "MPI is not installed, or starts nothing here";
    }
    std::ofstream(rl_ / "recipe.yaml") << rl_.Recipe("unused");
  }

  // Exit code of `nla train rl` on so many processes; what they print goes to a file.
  int Train(const std::string& out, int ranks, const std::string& more) const {
    const std::string launch =
        ranks == 1 ? "" : fmt::format("mpirun --allow-run-as-root --oversubscribe -n {} ", ranks);
    const int status =
        std::system(fmt::format("{}{} train rl {} --threads 1 --set train_rl.out={} {} >{} 2>&1", launch, NLA_PROGRAM,
                                (rl_ / "recipe.yaml").string(), (rl_ / out).string(), more, Printed(out).string())
                        .c_str());
    return WEXITSTATUS(status);
  }
  fs::path Printed(const std::string& out) const { return rl_ / (out + ".txt"); }
  std::vector<double> Figures(const std::string& out, const std::string& kind, const std::string& field) const {
    return FieldOf(ReadRlLines(rl_ / out / "metrics.jsonl"), kind, field);
  }

  TinyRl rl_;
};

void ExpectNear(const std::vector<double>& found, const std::vector<double>& wanted, double tolerance,
                const std::string& what) {
  ASSERT_EQ(found.size(), wanted.size()) << what;
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i], wanted[i], tolerance * std::max(1e-3, std::abs(wanted[i]))) << what << " " << i;
  }
}

TEST_F(Ranks, DoWhatOneProcessDoes) {
  const std::string steps = "--set train_rl.steps=4 --set train_rl.eval_every=2 --set train_rl.save_every=2";
  ASSERT_EQ(Train("one", 1, steps), 0) << ReadFile(Printed("one"));
  for (const int ranks : {2, 4}) {
    const std::string out = fmt::format("ranks{}", ranks);
    ASSERT_EQ(Train(out, ranks, steps), 0) << ReadFile(Printed(out));
    for (const char* field : {"reward", "reward_best", "reward_spread", "extraction_rate", "tokens_mean", "mse",
                              "mse_other_vector", "kl", "entropy", "av_grad_norm", "ar_grad_norm", "ar_loss"}) {
      ExpectNear(Figures(out, "step", field), Figures("one", "step", field), kTolerance, field);
    }
    ExpectNear(Figures(out, "eval", "fve_raw_variance"), Figures("one", "eval", "fve_raw_variance"), kTolerance, "FVE");
    // One writer: every line once.
    EXPECT_EQ(ReadRlLines(rl_ / out / "metrics.jsonl").size(), ReadRlLines(rl_ / "one/metrics.jsonl").size());
  }
}

TEST_F(Ranks, UpdateTheReconstructorOnTheSameParts) {
  const std::string steps =
      "--set train_rl.steps=3 --set train_rl.eval_every=0 --set train_rl.epochs=2 --set train_rl.ar_updates=2";
  ASSERT_EQ(Train("one", 1, steps), 0) << ReadFile(Printed("one"));
  ASSERT_EQ(Train("two", 2, steps), 0) << ReadFile(Printed("two"));
  for (const char* field : {"reward", "mse", "mse_other_vector", "ar_grad_norm", "ar_loss", "ar_lr"}) {
    ExpectNear(Figures("two", "step", field), Figures("one", "step", field), kTolerance, field);
  }
  // A rank has one prompt, which makes no two parts.
  EXPECT_EQ(Train("four", 4, steps), 2);
  EXPECT_THAT(ReadFile(Printed("four")), testing::HasSubstr("prompts / ar_updates"));
}

TEST_F(Ranks, GoOnWithAnotherNumberOfProcesses) {
  const std::string options = "--set train_rl.eval_every=0 --set train_rl.save_every=1";
  ASSERT_EQ(Train("whole", 1, options + " --set train_rl.steps=4"), 0);
  ASSERT_EQ(Train("parts", 2, options + " --set train_rl.steps=2"), 0) << ReadFile(Printed("parts"));
  ASSERT_EQ(Train("parts", 4, options + " --set train_rl.steps=3 --resume"), 0) << ReadFile(Printed("parts"));
  ASSERT_EQ(Train("parts", 1, options + " --set train_rl.steps=4 --resume"), 0) << ReadFile(Printed("parts"));
  ExpectNear(Figures("parts", "step", "reward"), Figures("whole", "step", "reward"), kTolerance, "reward");
  // The moments of every tensor were saved, whoever kept them.
  const SafetensorsFile found = SafetensorsFile::Open(rl_ / "parts/checkpoints/step-3/state.safetensors");
  const SafetensorsFile wanted = SafetensorsFile::Open(rl_ / "whole/checkpoints/step-3/state.safetensors");
  ASSERT_EQ(found.tensors().size(), wanted.tensors().size());
  for (const TensorView& view : wanted.tensors()) {
    const TensorView* other = found.Find(view.name);
    ASSERT_NE(other, nullptr) << view.name;
    EXPECT_EQ(other->shape, view.shape) << view.name;
  }
}

TEST_F(Ranks, RefuseABatchThatCannotBeDealtOut) {
  EXPECT_EQ(Train("out", 3, ""), 2);
  const std::string printed = ReadFile(Printed("out"));
  EXPECT_NE(printed.find("prompts"), std::string::npos) << printed;
  EXPECT_NE(printed.find("a multiple of 3"), std::string::npos) << printed;
}

}  // namespace
}  // namespace nla
