// The reference's public client against our server and checkpoints. Its source is not kept here: NLA_REFERENCE_DIR
// names a checkout, NLA_REFERENCE_PYTHON an interpreter with the packages that it wants. Without them the test is
// skipped.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/file.h"
#include "base/subprocess.h"
#include "nla/tiny_pair_testing.h"

namespace nla {
namespace {

using testing::HasSubstr;

TEST(ReferenceSlow, ItsClientAndCriticAgreeWithOurs) {
  const char* const reference = std::getenv("NLA_REFERENCE_DIR");
  if (reference == nullptr) GTEST_SKIP() << "NLA_REFERENCE_DIR names no checkout of the reference repository";
  const char* const python = std::getenv("NLA_REFERENCE_PYTHON");
  const TinyPair tiny;
  const fs::path rows = tiny.WriteHeldOut(12, /*explained=*/false);
  tiny.Assemble("pair", "av_known", "ar");  // its embeddings are noughts and ones
  const ProcessResult run =
      RunProcess({python != nullptr ? python : NLA_PYTHON, NLA_SOURCE_DIR "/tests/client/check_reference.py",
                  "--reference", reference, "--nla", NLA_PROGRAM, "--pair", (tiny / "pair").string(), "--activations",
                  rows.string(), "--rows", "12", "--tokens", "20"});
  EXPECT_EQ(run.exit_code, 0) << run.output;
  EXPECT_THAT(run.output, HasSubstr("all equal"));
}

}  // namespace
}  // namespace nla
