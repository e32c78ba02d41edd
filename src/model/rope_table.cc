// Frequencies of the rope variants, and the growing tables.
#include "model/rope_table.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/fail.h"
#include "model/ops/rope.h"

namespace nla {
namespace {

constexpr int64_t kFirstPositions = 1024;

// Llama 3: by how often a frequency turns over the positions that the model was first trained on.
float ScaleByBand(float frequency, const RopeSpec& rope) {
  const auto factor = static_cast<float>(rope.factor);
  const auto low = static_cast<float>(rope.bands->low);
  const auto high = static_cast<float>(rope.bands->high);
  const float wavelength = 2 * std::numbers::pi_v<float> / frequency;
  const float turns = static_cast<float>(rope.bands->positions) / wavelength;
  if (turns < low) return frequency / factor;
  if (turns > high) return frequency;
  const float smooth = (turns - low) / (high - low);
  return (1 - smooth) * frequency / factor + smooth * frequency;
}

}  // namespace

std::vector<float> RopeFrequencies(const RopeSpec& rope, int64_t d_head) {
  std::vector<float> frequencies(d_head / 2);
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(d_head);
    const float frequency = 1.0F / std::pow(static_cast<float>(rope.theta), exponent);
    frequencies[i] = rope.bands ? ScaleByBand(frequency, rope) : frequency / static_cast<float>(rope.factor);
  }
  return frequencies;
}

RopeTable::RopeTable(const RopeSpec& rope, int64_t d_head, int64_t max_positions)
    : frequencies_(RopeFrequencies(rope, d_head)), max_positions_(max_positions), tables_(std::make_shared<Tables>()) {}

std::pair<at::Tensor, at::Tensor> RopeTable::Get(int64_t positions) const {
  NLA_CHECK(positions <= max_positions_);
  const std::lock_guard lock(tables_->mutex);
  const int64_t have = tables_->cos.defined() ? tables_->cos.size(0) : 0;
  if (positions > have) {
    const int64_t rows = std::min(max_positions_, std::max({positions, 2 * have, kFirstPositions}));
    std::tie(tables_->cos, tables_->sin) = ops::RopeTables(rows, frequencies_);
  }
  return {tables_->cos, tables_->sin};
}

}  // namespace nla
