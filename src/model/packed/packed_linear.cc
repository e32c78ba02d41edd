// Packing, quantising, and the scales after the kernels.
#include "model/packed/packed_linear.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/fail.h"
#include "model/ops/vector8.h"
#include "model/packed/kernel_variants.h"

namespace nla::packed {
namespace {

constexpr int64_t kLargestWeight = 127;
constexpr int64_t kStrideNumbers = 16;  // rows begin at whole vectors
constexpr int64_t kPanelsPerTask = 4;

int64_t RoundUp(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

// The largest integer of an input: as many bits as keep a sum of `width` products inside 32 bits. For widths of today's
// models 10 to 15 bits, so that rounding the inputs costs little beside rounding the weights to 8.
int64_t LargestInput(int64_t width) {
  constexpr int64_t kLargestSum = std::numeric_limits<int32_t>::max();
  return std::min<int64_t>(32000, kLargestSum / (kLargestWeight * width));
}

float LargestMagnitude(const float* x, int64_t count) {
  float largest = 0;
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < count; ++i) largest = std::max(largest, std::fabs(x[i]));
  return largest;
}

// Nearest integers of x / scale.
template <typename T>
void Quantise(const float* x, int64_t count, float inverse, T* out) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) out[i] = static_cast<T>(static_cast<int32_t>(__builtin_rintf(x[i] * inverse)));
}

// Whether bf16 holds every number.
bool FitsHalves(const at::Tensor& numbers) {
  const float* begin = numbers.const_data_ptr<float>();
  return std::all_of(begin, begin + numbers.numel(),
                     [](float x) { return (__builtin_bit_cast(uint32_t, x) & 0xffffU) == 0; });
}

// Rows of numbers too small for an inverse count as zeros.
float Inverse(float scale) { return scale > 1e-36F ? 1.0F / scale : 0.0F; }

}  // namespace

LinearInputs::LinearInputs(Format format, int64_t rows, int64_t widest)
    : format_(format),
      stride_(RoundUp(widest, kStrideNumbers)),
      numbers_(at::empty({rows, stride_}, format == Format::kInt8 ? at::kShort : at::kFloat)),
      scales_(at::empty({rows}, at::kFloat)),
      row_scales_(scales_.mutable_data_ptr<float>()) {
  if (format != Format::kInt8) {
    floats_ = numbers_.mutable_data_ptr<float>();
  } else {
    integers_ = numbers_.mutable_data_ptr<int16_t>();
  }
}

void LinearInputs::Set(int64_t row, const float* x, int64_t width) {
  if (format_ != Format::kInt8) {
    float* out = floats_ + row * stride_;
    std::copy_n(x, width, out);
    if (width % 2 == 1) out[width] = 0;
    return;
  }
  int16_t* out = integers_ + row * stride_;
  const float scale = LargestMagnitude(x, width) / static_cast<float>(LargestInput(width));
  Quantise(x, width, Inverse(scale), out);
  if (width % 2 == 1) out[width] = 0;
  row_scales_[row] = scale;
}

PackedLinear::PackedLinear(Format format, const at::Tensor& weight, const at::Tensor& bias, PanelMemory& memory)
    : format_(format), outputs_(weight.size(0)), inputs_(weight.size(1)) {
  NLA_CHECK(outputs_ > 0 && inputs_ > 0);
  const at::Tensor whole = weight.detach().to(at::kFloat).contiguous();
  halves_ = format == Format::kBFloat16 ||
            (format == Format::kFloat && (weight.scalar_type() == at::kBFloat16 || FitsHalves(whole)));
  if (format == Format::kInt8) {
    PackInt8(whole, memory);
  } else if (halves_) {
    PackHalves(whole, memory);
  } else {
    PackFloats(whole, memory);
  }
  if (!bias.defined()) return;
  const std::shared_ptr<float> biases = memory.Take<float>(panels() * kPanelOutputs);
  const at::Tensor from = bias.detach().to(at::kFloat).contiguous();
  std::copy_n(from.const_data_ptr<float>(), outputs_, biases.get());
  bias_ = biases;
}

void PackedLinear::PackFloats(const at::Tensor& weight, PanelMemory& memory) {
  const std::shared_ptr<float> packed = memory.Take<float>(panels() * inputs_ * kPanelOutputs);
  const float* from = weight.const_data_ptr<float>();
  float* to = packed.get();
  at::parallel_for(0, panels(), kPanelsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; ++panel) {
      const int64_t first = panel * kPanelOutputs;
      const int64_t count = std::min(kPanelOutputs, outputs_ - first);
      float* out = to + first * inputs_;
      for (int64_t k = 0; k < inputs_; ++k) {
        for (int64_t n = 0; n < count; ++n) out[k * kPanelOutputs + n] = from[(first + n) * inputs_ + k];
      }
    }
  });
  weights_ = packed;
}

void PackedLinear::PackHalves(const at::Tensor& weight, PanelMemory& memory) {
  const std::shared_ptr<c10::BFloat16> packed = memory.Take<c10::BFloat16>(panels() * pairs() * kPanelOutputs * 2);
  const float* from = weight.const_data_ptr<float>();
  c10::BFloat16* to = packed.get();
  at::parallel_for(0, outputs_, kPanelsPerTask * kPanelOutputs, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      c10::BFloat16* panel = to + (n / kPanelOutputs * pairs() * kPanelOutputs + n % kPanelOutputs) * 2;
      for (int64_t k = 0; k < inputs_; ++k)
        panel[k / 2 * kPanelOutputs * 2 + k % 2] = c10::BFloat16(from[n * inputs_ + k]);
    }
  });
  weights_ = packed;
}

void PackedLinear::PackInt8(const at::Tensor& weight, PanelMemory& memory) {
  NLA_CHECK(LargestInput(inputs_) >= kLargestWeight);
  const std::shared_ptr<int8_t> packed = memory.Take<int8_t>(panels() * pairs() * kPanelOutputs * 2);
  const std::shared_ptr<float> scaled = memory.Take<float>(panels() * kPanelOutputs);
  const float* from = weight.const_data_ptr<float>();
  int8_t* to = packed.get();
  float* scales = scaled.get();
  at::parallel_for(0, panels(), kPanelsPerTask, [&](int64_t begin, int64_t end) {
    std::vector<int8_t> row(inputs_);
    for (int64_t n = begin * kPanelOutputs; n < std::min(end * kPanelOutputs, outputs_); ++n) {
      scales[n] = LargestMagnitude(from + n * inputs_, inputs_) / static_cast<float>(kLargestWeight);
      Quantise(from + n * inputs_, inputs_, Inverse(scales[n]), row.data());
      int8_t* panel = to + (n / kPanelOutputs * pairs() * kPanelOutputs + n % kPanelOutputs) * 2;
      for (int64_t k = 0; k < inputs_; ++k) panel[k / 2 * kPanelOutputs * 2 + k % 2] = row[k];
    }
  });
  weights_ = packed;
  scales_ = scaled;
}

int64_t PackedLinear::panel_bytes() const {
  if (format_ == Format::kInt8) return pairs() * kPanelOutputs * 2;
  return halves_ ? pairs() * kPanelOutputs * 4 : inputs_ * kPanelOutputs * 4;
}

void PackedLinear::RunRows(int64_t panel, const LinearInputs& in, const RowRange& rows, float* out,
                           int64_t stride) const {
  NLA_CHECK(in.format_ == format_ && rows.count <= kMostRows);
  const int64_t first = rows.first * in.stride_;
  const float* bias = bias_ == nullptr ? nullptr : bias_.get() + panel * kPanelOutputs;
  const auto* weights = static_cast<const std::byte*>(weights_.get()) + panel * panel_bytes();
  if (format_ != Format::kInt8) {
    static const FloatVariant& variant = FloatVariants().front();
    (halves_ ? variant.halves : variant.floats)({weights, inputs_, in.floats_ + first, in.stride_, rows.count}, out,
                                                stride);
    if (bias == nullptr) return;
    for (int64_t r = 0; r < rows.count; ++r) {
      for (int64_t n = 0; n < kPanelOutputs; ++n) out[r * stride + n] += bias[n];
    }
    return;
  }
  static const Int8Kernel kernel = Int8Variants().front().run;
  alignas(64) int32_t sums[kMostRows * kPanelOutputs];
  kernel({reinterpret_cast<const int8_t*>(weights), pairs(), in.integers_ + first, in.stride_, rows.count}, sums);
  const float* scales = scales_.get() + panel * kPanelOutputs;
  const ops::Floats8 low = ops::Load8(scales);
  const ops::Floats8 high = ops::Load8(scales + 8);
  for (int64_t r = 0; r < rows.count; ++r) {
    const int32_t* row = sums + r * kPanelOutputs;
    const float scale = in.row_scales_[rows.first + r];
    float* to = out + r * stride;
    ops::Store8(ops::Load8(row) * (low * scale), to);
    ops::Store8(ops::Load8(row + 8) * (high * scale), to + 8);
    if (bias == nullptr) continue;
    for (int64_t n = 0; n < kPanelOutputs; ++n) to[n] += bias[n];
  }
}

void PackedLinear::RunInto(int64_t panel, const LinearInputs& in, const RowRange& rows, float* out) const {
  const int64_t first = panel * kPanelOutputs;
  const int64_t count = std::min(kPanelOutputs, outputs_ - first);
  float* to = out + rows.first * outputs_ + first;
  if (count == kPanelOutputs) return RunRows(panel, in, rows, to, outputs_);
  // The matrix ends before the last panel does.
  alignas(64) float tile[kMostRows * kPanelOutputs];
  Run(panel, in, rows, tile);
  for (int64_t r = 0; r < rows.count; ++r) std::copy_n(tile + r * kPanelOutputs, count, to + r * outputs_);
}

}  // namespace nla::packed
