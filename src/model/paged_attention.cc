// Attention of new rows over pages of keys and values: a task is one row and one group of query heads. Sums are fp32
// and run in the order of the tokens, so that a row's result does not depend on what else is in the call.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "model/attention.h"
#include "model/ops/rows.h"

namespace nla {
namespace {

struct Shape {
  int64_t heads, groups, d;
  int64_t ratio() const { return heads / groups; }
};

// One new row: where its sequence lies, and the tokens it sees.
struct Row {
  const int32_t* pages;
  int64_t first, end;
};

std::vector<Row> RowsOf(std::span<const PagedRows> sequences, const AttentionRule& rule) {
  std::vector<Row> rows;
  for (const PagedRows& sequence : sequences) {
    for (int64_t i = 0; i < sequence.rows; ++i) {
      const int64_t end = sequence.stored + i + 1;
      rows.push_back({sequence.pages.data(), rule.window > 0 ? std::max<int64_t>(0, end - rule.window) : 0, end});
    }
  }
  return rows;
}

// Calls body(token, row of `slab`) for the tokens that a row sees, in order.
template <typename T, typename Body>
void ForTokens(const Row& row, const T* slab, int64_t group, const Shape& shape, const Body& body) {
  for (int64_t token = row.first; token < row.end;) {
    const int64_t page = row.pages[token / kPageTokens];
    const T* at = slab + ((page * shape.groups + group) * kPageTokens + token % kPageTokens) * shape.d;
    const int64_t stop = std::min(row.end, (token / kPageTokens + 1) * kPageTokens);
    for (; token < stop; ++token, at += shape.d) body(token - row.first, at);
  }
}

// Working memory of a thread: for each query head of a group, its query, the weight of every token, and the sum.
struct Scratch {
  Scratch(int64_t tokens, const Shape& shape)
      : tokens(tokens), query(shape.ratio() * shape.d), weights(shape.ratio() * tokens), sum(shape.ratio() * shape.d) {}
  int64_t tokens;
  std::vector<float> query, weights, sum;
};

// Scores to weights that add up to one.
void Softmax(float* weights, int64_t count) {
  float largest = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < count; ++i) largest = std::max(largest, weights[i]);
  float total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t i = 0; i < count; ++i) {
    weights[i] = ops::Exp(weights[i] - largest);
    total += weights[i];
  }
  const float inverse = 1.0F / total;
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) weights[i] *= inverse;
}

// The query heads of one group of one row: q and out are [ratio, d].
template <typename T>
void AttendGroup(const T* q, const Row& row, const T* keys, const T* values, int64_t group, const Shape& shape,
                 float scale, Scratch& scratch, T* out) {
  const int64_t d = shape.d;
  const int64_t ratio = shape.ratio();
  float* query = scratch.query.data();
  for (int64_t c = 0; c < ratio * d; ++c) query[c] = ops::ToFloat(q[c]) * scale;
  ForTokens(row, keys, group, shape, [&](int64_t token, const T* key) {
    for (int64_t h = 0; h < ratio; ++h) {
      const float* head = query + h * d;
      float dot = 0;
#pragma omp simd reduction(+ : dot)
      for (int64_t c = 0; c < d; ++c) dot += head[c] * ops::ToFloat(key[c]);
      scratch.weights[h * scratch.tokens + token] = dot;
    }
  });
  for (int64_t h = 0; h < ratio; ++h) Softmax(scratch.weights.data() + h * scratch.tokens, row.end - row.first);
  std::fill(scratch.sum.begin(), scratch.sum.end(), 0.0F);
  ForTokens(row, values, group, shape, [&](int64_t token, const T* value) {
    for (int64_t h = 0; h < ratio; ++h) {
      const float weight = scratch.weights[h * scratch.tokens + token];
      float* sum = scratch.sum.data() + h * d;
#pragma omp simd
      for (int64_t c = 0; c < d; ++c) sum[c] += weight * ops::ToFloat(value[c]);
    }
  });
  for (int64_t c = 0; c < ratio * d; ++c) out[c] = ops::FromFloat<T>(scratch.sum[c]);
}

}  // namespace

at::Tensor PagedAttention(const at::Tensor& q_THd, const KvPages& cache, int64_t block,
                          std::span<const PagedRows> sequences, const AttentionRule& rule) {
  const at::Tensor& keys = cache.keys(block);
  const Shape shape{q_THd.size(1), keys.size(1), q_THd.size(2)};
  const std::vector<Row> rows = RowsOf(sequences, rule);
  NLA_CHECK(static_cast<int64_t>(rows.size()) == q_THd.size(0));
  int64_t longest = 0;
  int64_t total = 0;
  for (const Row& row : rows) {
    longest = std::max(longest, row.end - row.first);
    total += row.end - row.first;
  }
  const int64_t mean_work = total / static_cast<int64_t>(rows.size()) * shape.ratio() * shape.d;
  const int64_t grain = std::max<int64_t>(1, ops::kElementsPerTask / std::max<int64_t>(1, mean_work));
  const at::Tensor q = q_THd.contiguous();
  at::Tensor out = at::empty({q_THd.size(0), shape.heads * shape.d}, q_THd.options());
  ops::DispatchCompute(q_THd.scalar_type(), [&](auto t) {
    using T = decltype(t);
    const T* from = q.const_data_ptr<T>();
    const T* k = keys.const_data_ptr<T>();
    const T* v = cache.values(block).const_data_ptr<T>();
    T* to = out.mutable_data_ptr<T>();
    at::parallel_for(0, q_THd.size(0) * shape.groups, grain, [&](int64_t begin, int64_t end) {
      Scratch scratch(longest, shape);
      for (int64_t item = begin; item < end; ++item) {
        const int64_t offset = item * shape.ratio() * shape.d;
        AttendGroup(from + offset, rows[item / shape.groups], k, v, item % shape.groups, shape,
                    static_cast<float>(rule.scale), scratch, to + offset);
      }
    });
  });
  return out;
}

}  // namespace nla
