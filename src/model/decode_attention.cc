// Attention of single query rows over the KV cache: one task per sequence and head, fp32 sums, no padding, no copies.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "model/attention.h"
#include "model/ops/rows.h"

namespace nla {
namespace {

// Working memory of a thread.
struct Scratch {
  Scratch(int64_t capacity, int64_t d, float scale) : scale(scale), weights(capacity), query(d), sum(d) {}
  float scale;
  std::vector<float> weights, query, sum;
};

// out = softmax(scale · q · K) · V over `length` rows of width d that lie one after another.
template <typename T>
void AttendOne(const T* q, const T* keys, const T* values, int64_t length, Scratch& scratch, T* out) {
  const auto d = static_cast<int64_t>(scratch.query.size());
  float* query = scratch.query.data();
  float* weights = scratch.weights.data();
  float* sum = scratch.sum.data();
  for (int64_t c = 0; c < d; ++c) query[c] = ops::ToFloat(q[c]) * scratch.scale;
  float largest = -std::numeric_limits<float>::infinity();
  for (int64_t i = 0; i < length; ++i) {
    const T* row = keys + i * d;
    float dot = 0;
#pragma omp simd reduction(+ : dot)
    for (int64_t c = 0; c < d; ++c) dot += query[c] * ops::ToFloat(row[c]);
    weights[i] = dot;
    largest = std::max(largest, dot);
  }
  float total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t i = 0; i < length; ++i) {
    weights[i] = ops::Exp(weights[i] - largest);
    total += weights[i];
  }
  std::fill(scratch.sum.begin(), scratch.sum.end(), 0.0F);
  for (int64_t i = 0; i < length; ++i) {
    const T* row = values + i * d;
    const float weight = weights[i];
#pragma omp simd
    for (int64_t c = 0; c < d; ++c) sum[c] += weight * ops::ToFloat(row[c]);
  }
  for (int64_t c = 0; c < d; ++c) out[c] = ops::FromFloat<T>(sum[c] / total);
}

}  // namespace

at::Tensor DecodeAttention(const at::Tensor& q_BHd, const at::Tensor& keys, const at::Tensor& values,
                           const CacheRows& rows, const AttentionRule& rule) {
  const int64_t heads = q_BHd.size(1);
  const int64_t groups = keys.size(1);
  const int64_t capacity = keys.size(2);
  const int64_t d = q_BHd.size(2);
  at::Tensor out = at::empty({q_BHd.size(0), heads * d}, q_BHd.options());
  ops::DispatchCompute(q_BHd.scalar_type(), [&](auto t) {
    using T = decltype(t);
    const T* q = q_BHd.const_data_ptr<T>();
    const T* k = keys.const_data_ptr<T>();
    const T* v = values.const_data_ptr<T>();
    T* to = out.mutable_data_ptr<T>();
    at::parallel_for(0, q_BHd.size(0) * heads, heads, [&](int64_t begin, int64_t end) {
      Scratch scratch(capacity, d, static_cast<float>(rule.scale));
      for (int64_t item = begin; item < end; ++item) {
        const int64_t b = item / heads;
        const int64_t group = item % heads / (heads / groups);
        const int64_t length = rows.lengths[b];
        const int64_t seen = rule.window > 0 ? std::min(rule.window, length) : length;
        const int64_t first = ((rows.slots[b] * groups + group) * capacity + length - seen) * d;
        AttendOne(q + item * d, k + first, v + first, seen, scratch, to + item * d);
      }
    });
  });
  return out;
}

}  // namespace nla
