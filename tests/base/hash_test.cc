// SHA-2 against the vectors of FIPS 180-4.
#include "base/hash.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/scratch_testing.h"
#include "nla/error.h"

namespace nla {
namespace {

TEST(Hash, MatchesTheStandardVectors) {
  EXPECT_EQ(Sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(fmt::format("{:02x}", fmt::join(Sha512("abc"), "")),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d442364"
            "3ce80e2a"
            "9ac94fa54ca49f");
}

TEST(Hash, OfAFileEqualsThatOfItsBytes) {
  const ScratchDirectory scratch;
  const std::string bytes(3'000'001, 'x');  // more than one read
  WriteFileAtomically(scratch / "big", bytes);
  EXPECT_EQ(Sha256HexOfFile(scratch / "big"), Sha256Hex(bytes));
  WriteFileAtomically(scratch / "empty", "");
  EXPECT_EQ(Sha256HexOfFile(scratch / "empty"), Sha256Hex(""));
}

TEST(Hash, OfAMissingFileOrADirectoryFails) {
  const ScratchDirectory scratch;
  EXPECT_THROW(Sha256HexOfFile(scratch / "missing"), Error);
  EXPECT_THROW(Sha256HexOfFile(scratch.path()), Error);
}

}  // namespace
}  // namespace nla
