// The form of an error's line, its kind, and checks that abort.
#include "base/fail.h"

#include <gtest/gtest.h>

namespace nla {
namespace {

TEST(Fail, PutsTheLineTogether) {
  EXPECT_EQ(Describe({.where = "config.json: hidden_size",
                      .what = "wrong width",
                      .found = "577",
                      .wanted = "576",
                      .mend = "Convert the model again"}),
            "config.json: hidden_size: wrong width: found 577, wanted 576. Convert the model again.");
  EXPECT_EQ(Describe({.where = "a.bin", .what = "cannot open"}), "a.bin: cannot open");
  EXPECT_EQ(Describe({.what = "cannot open"}), "cannot open");
  EXPECT_EQ(Describe({.where = "--layer", .wanted = "0 to 29"}), "--layer: wanted 0 to 29");
  EXPECT_EQ(Describe({.where = "x", .what = "unknown", .mend = "Did you mean \"y\"?"}),
            "x: unknown. Did you mean \"y\"?");
}

TEST(Fail, CarriesTheExitCode) {
  try {
    Fail({.where = "x"});
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kFailed);
    EXPECT_EQ(error.exit_code(), 1);
  }
  try {
    FailUsage({.where = "x"});
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_EQ(error.exit_code(), 2);
  }
  EXPECT_THROW(Fail({.where = "x"}), Error);
  EXPECT_THROW(FailUsage({.where = "x"}), Error);
}

TEST(CheckDeathTest, AbortsAndNamesThePlace) {
  const int one = 1;
  NLA_CHECK(one == 1);
  EXPECT_DEATH(NLA_CHECK(one == 2), "bug at .*fail_test.cc:[0-9]+: one == 2 does not hold");
}

}  // namespace
}  // namespace nla
