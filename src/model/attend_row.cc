// Scores page by page: a page holds its keys transposed, so that sixteen tokens' scores grow side by side and no sum
// runs across a register. Then the weights of a softmax, then the weighted sum of the values, then the softmax's
// division: a head has fewer numbers than a prompt has tokens.
#include "model/attend_row.h"

#include <algorithm>
#include <limits>

#include "model/kv_pages.h"
#include "model/ops/rows.h"
#include "model/ops/vector8.h"

namespace nla {
namespace {

using ops::Load8;

constexpr int64_t kLanes = 8;
constexpr int64_t kSpan = 2 * kLanes;  // what RowSums adds at once
static_assert(kPageTokens == kSpan);

// Spans at once whose sums fit into twelve registers: the sums of one span of few heads would wait for each other.
template <int kHeads>
constexpr int kAtOnce = kHeads <= 3 ? 2 : 1;

// Sums of kSpans spans that lie `apart` from each other.
template <int kHeads, int kSpans>
struct SpanSums {
  ops::RowSums<kHeads> first;
  SpanSums<kHeads, kSpans - 1> rest;

  template <typename T>
  [[gnu::always_inline]] void Add(const T* at, int64_t apart, const float* factor, int64_t stride) {
    first.Add(Load8(at), Load8(at + kLanes), factor, stride);
    rest.Add(at + apart, apart, factor, stride);
  }
  [[gnu::always_inline]] void Store(float* out, int64_t stride) const {
    first.Store(out, stride);
    rest.Store(out + kSpan, stride);
  }
};

template <int kHeads>
struct SpanSums<kHeads, 0> {
  template <typename T>
  void Add(const T* /*at*/, int64_t /*apart*/, const float* /*factor*/, int64_t /*stride*/) {}
  void Store(float* /*out*/, int64_t /*stride*/) const {}
};

// query · key of kPages pages' tokens for kHeads heads, to weights[head · stride …], page after page.
template <int kHeads, int kPages, typename T>
void ScorePages(const float* query, int64_t d, const T* keys, int64_t apart, float* weights, int64_t stride) {
  SpanSums<kHeads, kPages> sums;
  for (int64_t c = 0; c < d; ++c) sums.Add(keys + c * kPageTokens, apart, query + c, d);
  sums.Store(weights, stride);
}

// Scores to weights; returns the inverse of their sum.
float Weigh(float* weights, int64_t count) {
  float largest = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < count; ++i) largest = std::max(largest, weights[i]);
  float total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t i = 0; i < count; ++i) {
    weights[i] = ops::Exp(weights[i] - largest);
    total += weights[i];
  }
  return 1.0F / total;
}

// Where a row's values lie, token by token.
template <typename T>
struct Values {
  const AttendedRow& row;
  const T* slab;
  int64_t group;
  const AttentionShape& shape;
  int64_t base;  // the token that weights begin with

  // Calls body(index of its weight, the value).
  template <typename Body>
  void ForEach(const Body& body) const {
    for (int64_t token = row.first; token < row.end;) {
      const int64_t page = row.pages[token / kPageTokens];
      const T* at = slab + ((page * shape.groups + group) * kPageTokens + token % kPageTokens) * shape.d;
      const int64_t stop = std::min(row.end, (token / kPageTokens + 1) * kPageTokens);
      for (; token < stop; ++token, at += shape.d) body(token - base, at);
    }
  }
};

// out[head][begin …] = Σ weight · value over kSpans times sixteen columns of kHeads heads. The weight of a token is at
// weights[head · stride + its index].
template <int kHeads, int kSpans, typename T>
void SumValues(const Values<T>& values, int64_t begin, const float* weights, int64_t stride, float* out) {
  SpanSums<kHeads, kSpans> sums;
  values.ForEach([&](int64_t index, const T* value) { sums.Add(value + begin, kSpan, weights + index, stride); });
  sums.Store(out + begin, values.shape.d);
}

template <int kHeads, typename T>
void SumAllValues(const Values<T>& values, const float* weights, int64_t stride, float* out) {
  const int64_t d = values.shape.d;
  constexpr int kSpans = kAtOnce<kHeads>;
  int64_t begin = 0;
  for (; begin + kSpans * kSpan <= d; begin += kSpans * kSpan) {
    SumValues<kHeads, kSpans>(values, begin, weights, stride, out);
  }
  for (; begin + kSpan <= d; begin += kSpan) SumValues<kHeads, 1>(values, begin, weights, stride, out);
  if (begin == d) return;
  for (int h = 0; h < kHeads; ++h) std::fill(out + h * d + begin, out + (h + 1) * d, 0.0F);
  values.ForEach([&](int64_t index, const T* value) {
    for (int h = 0; h < kHeads; ++h) {
      for (int64_t c = begin; c < d; ++c) out[h * d + c] += weights[h * stride + index] * ops::ToFloat(value[c]);
    }
  });
}

template <int kHeads, typename T>
void AttendHeads(const float* q, const AttendedRow& row, int64_t group, const AttentionSlabs<T>& slabs,
                 AttentionScratch& scratch, float* out) {
  const AttentionShape& shape = slabs.shape;
  const int64_t stride = scratch.stride();
  const int64_t base = row.first / kPageTokens * kPageTokens;
  float* weights = scratch.weights();
  const auto keys = [&](int64_t token) {
    return slabs.keys + (row.pages[token / kPageTokens] * shape.groups + group) * shape.d * kPageTokens;
  };
  constexpr int kPages = kAtOnce<kHeads>;
  int64_t token = base;
  for (; token + (kPages - 1) * kPageTokens < row.end; token += kPages * kPageTokens) {
    const T* page = keys(token);
    const int64_t apart = keys(token + (kPages - 1) * kPageTokens) - page;
    ScorePages<kHeads, kPages>(q, shape.d, page, apart, weights + token - base, stride);
  }
  for (; token < row.end; token += kPageTokens) {
    ScorePages<kHeads, 1>(q, shape.d, keys(token), 0, weights + token - base, stride);
  }
  float inverse[kHeads];
  for (int h = 0; h < kHeads; ++h) inverse[h] = Weigh(weights + h * stride + row.first - base, row.end - row.first);
  SumAllValues<kHeads, T>({row, slabs.values, group, shape, base}, weights, stride, out);
  for (int h = 0; h < kHeads; ++h) {
    for (int64_t c = 0; c < shape.d; ++c) out[h * shape.d + c] *= inverse[h];
  }
}

}  // namespace

AttentionScratch::AttentionScratch(int64_t tokens, const AttentionShape& shape)
    : stride_((tokens + 2 * kPageTokens - 1) / kPageTokens * kPageTokens),
      weights_(std::min<int64_t>(4, shape.ratio()) * stride_) {}

template <typename T>
void AttendGroup(const float* q, const AttendedRow& row, int64_t group, const AttentionSlabs<T>& slabs,
                 AttentionScratch& scratch, float* out) {
  const int64_t d = slabs.shape.d;
  const int64_t ratio = slabs.shape.ratio();
  for (int64_t h = 0; h < ratio; h += 4) {
    const float* from = q + h * d;
    float* to = out + h * d;
    switch (std::min<int64_t>(4, ratio - h)) {
      case 1:
        AttendHeads<1>(from, row, group, slabs, scratch, to);
        break;
      case 2:
        AttendHeads<2>(from, row, group, slabs, scratch, to);
        break;
      case 3:
        AttendHeads<3>(from, row, group, slabs, scratch, to);
        break;
      default:
        AttendHeads<4>(from, row, group, slabs, scratch, to);
    }
  }
}

template void AttendGroup(const float*, const AttendedRow&, int64_t, const AttentionSlabs<float>&, AttentionScratch&,
                          float*);
template void AttendGroup(const float*, const AttendedRow&, int64_t, const AttentionSlabs<c10::BFloat16>&,
                          AttentionScratch&, float*);

}  // namespace nla
