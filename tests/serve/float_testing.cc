// Comparisons by bits.
#include "serve/float_testing.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <random>

#include "serve/float_scanner.h"

namespace nla::serve {
namespace {

// "": the scanner does what strtof does.
std::string Difference(const std::string& text) {
  const float wanted = std::strtof(text.c_str(), nullptr);
  const ScannedFloat found = ScanFloat(text.data(), text.data() + text.size());
  if (std::isinf(wanted)) return found.fault == ScannedFloat::Fault::kOutOfRange ? "" : text + " is not out of range";
  const bool same = found.fault == ScannedFloat::Fault::kNone && found.end == text.data() + text.size() &&
                    std::bit_cast<uint32_t>(found.value) == std::bit_cast<uint32_t>(wanted);
  return same ? "" : fmt::format("{}: found {:a}, wanted {:a}", text, found.value, wanted);
}

}  // namespace

void ExpectLikeStrtof(const std::string& text) { EXPECT_EQ(Difference(text), ""); }

void ExpectRandomNumbersLikeStrtof(int64_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  for (int64_t i = 0; i < count; ++i) {
    const auto value = std::bit_cast<float>(static_cast<uint32_t>(random()));
    if (!std::isfinite(value)) continue;
    const double middle = (static_cast<double>(value) + std::nextafterf(value, INFINITY)) / 2;
    const double wide =
        std::ldexp(1 + static_cast<double>(random() >> 12) * 0x1p-52, static_cast<int>(random() % 250) - 125);
    const std::string texts[] = {
        fmt::format("{:.9g}", value),
        fmt::format("{:.17g}", value),
        fmt::format("{}", static_cast<double>(value)),
        fmt::format("{:.17g}", std::isfinite(middle) ? middle : 0.0),
        fmt::format("{:.17g}", wide),
        fmt::format("{:.{}f}", (static_cast<double>(random() % 2000000) - 1e6) / 1000, random() % 25)};
    const std::string difference = Difference(texts[i % std::size(texts)]);
    ASSERT_EQ(difference, "");
  }
}

}  // namespace nla::serve
