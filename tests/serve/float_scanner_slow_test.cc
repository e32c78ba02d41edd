// Millions of numbers against strtof.
#include <gtest/gtest.h>

#include "serve/float_testing.h"

namespace nla::serve {
namespace {

TEST(FloatScannerSlow, AgreesWithStrtofOnMillionsOfNumbers) { ExpectRandomNumbersLikeStrtof(5000000, 7); }

}  // namespace
}  // namespace nla::serve
