// Scales as recipes write them.
#include "train/sft/scale.h"

#include <charconv>
#include <cmath>

#include "base/fail.h"

namespace nla {

Scale ParseScale(const std::string& text, const std::string& field) {
  if (text == "sqrt_d_model") return {.kind = Scale::Kind::kSqrtDModel};
  if (text == "none") return {.kind = Scale::Kind::kNone};
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number) || number <= 0) {
    FailUsage({.where = field, .found = "\"" + text + "\"", .wanted = "a number above 0, sqrt_d_model or none"});
  }
  return {.kind = Scale::Kind::kNumber, .number = number};
}

}  // namespace nla
