#include "data/activation_source.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/fail.h"

namespace nla {
namespace {

constexpr size_t kShown = 20;  // names in an error

std::string Shown(const std::vector<std::string>& names) {
  if (names.empty()) return "none";
  const auto end = names.begin() + static_cast<int64_t>(std::min(names.size(), kShown));
  return fmt::format("{}{}", fmt::join(names.begin(), end, ", "), names.size() > kShown ? " …" : "");
}

}  // namespace

size_t FindVectorColumn(const ColumnNames& names, const std::string& asked) {
  const std::string wanted = asked.empty() ? "activation_vector" : asked;
  const auto place = [&](const std::string& name) {
    return static_cast<size_t>(std::find(names.all.begin(), names.all.end(), name) - names.all.begin());
  };
  if (const auto count = std::count(names.all.begin(), names.all.end(), wanted); count == 1) return place(wanted);
  if (asked.empty() && names.vectors.size() == 1) return place(names.vectors.front());
  Fail({.where = names.where,
        .what = fmt::format("no {} {} (or more than one)", names.kind, wanted),
        .found = Shown(names.all),
        .mend = names.vectors.empty() ? "" : "Name the one that holds the vectors with --column"});
}

void CheckVector(std::span<const float> vector, const std::string& where) {
  for (size_t i = 0; i < vector.size(); ++i) {
    if (!std::isfinite(vector[i])) {
      Fail({.where = where,
            .what = fmt::format("value {} of the vector is not a finite fp32 number", i),
            .found = fmt::format("{}", vector[i]),
            .mend = "Extract the activations again or drop the row"});
    }
  }
  if (std::all_of(vector.begin(), vector.end(), [](float x) { return x == 0; })) {
    Fail({.where = where, .what = "the vector is all zero: it has no direction", .mend = "Drop the row"});
  }
}

}  // namespace nla
