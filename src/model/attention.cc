// Packed attention: short segments as padded matrix products in one autograd node, long ones through torch's flash
// kernel.
#include "model/attention.h"

#include <ATen/ops/bmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <limits>

#include "model/ops/autograd.h"
#include "model/ops/rows.h"

namespace nla {
namespace {

// Up to this mean length, padding costs less than a kernel call per segment.
constexpr int64_t kPaddedMeanLength = 160;
// Rows of a long segment that go together where a window bounds what they see.
constexpr int64_t kWindowRows = 256;

// Segments that are computed together: each sees `prefix` rows and its own. Padding stands at the end of a segment, so
// the causal rule hides it from every real row.
struct Group {
  int64_t prefix = 0;
  int64_t longest = 0;
  std::vector<int64_t> starts, lengths;
  int64_t count() const { return static_cast<int64_t>(starts.size()); }
  int64_t columns() const { return prefix + longest; }
};

struct Heads {
  int64_t queries, groups, width;
  int64_t ratio() const { return queries / groups; }
};

// q [T, H, d] -> [B·G, ratio·L, d]: the query heads of a group lie under each other, so that keys are never repeated.
template <typename T>
at::Tensor GatherQueries(const at::Tensor& q, const Group& group, const Heads& heads) {
  at::Tensor out = at::zeros({group.count() * heads.groups, heads.ratio() * group.longest, heads.width}, q.options());
  const T* from = q.const_data_ptr<T>();
  T* to = out.mutable_data_ptr<T>();
  ops::ForRows(group.count() * heads.queries, group.longest * heads.width, [&](int64_t item) {
    const int64_t b = item / heads.queries;
    const int64_t head = item % heads.queries;
    T* block = to + item * group.longest * heads.width;
    for (int64_t i = 0; i < group.lengths[b]; ++i) {
      std::copy_n(from + ((group.starts[b] + i) * heads.queries + head) * heads.width, heads.width,
                  block + i * heads.width);
    }
  });
  return out;
}

// The inverse: padded rows are dropped, the others written to their packed place in `rows` [T, H, d].
template <typename T>
void ScatterQueries(const at::Tensor& padded, const Group& group, const Heads& heads, at::Tensor& rows) {
  const T* from = padded.const_data_ptr<T>();
  T* to = rows.mutable_data_ptr<T>();
  ops::ForRows(group.count() * heads.queries, group.longest * heads.width, [&](int64_t item) {
    const int64_t b = item / heads.queries;
    const int64_t head = item % heads.queries;
    const T* block = from + item * group.longest * heads.width;
    for (int64_t i = 0; i < group.lengths[b]; ++i) {
      std::copy_n(block + i * heads.width, heads.width,
                  to + ((group.starts[b] + i) * heads.queries + head) * heads.width);
    }
  });
}

// k or v [T, G, d] with the prefix rows [P, G, d] -> [B·G, P+L, d].
template <typename T>
at::Tensor GatherKeys(const at::Tensor& k, const at::Tensor& prefix, const Group& group, const Heads& heads) {
  at::Tensor out = at::zeros({group.count() * heads.groups, group.columns(), heads.width}, k.options());
  const T* own = k.const_data_ptr<T>();
  const T* shared = group.prefix > 0 ? prefix.const_data_ptr<T>() : nullptr;
  T* to = out.mutable_data_ptr<T>();
  ops::ForRows(group.count() * heads.groups, group.columns() * heads.width, [&](int64_t item) {
    const int64_t b = item / heads.groups;
    const int64_t g = item % heads.groups;
    T* block = to + item * group.columns() * heads.width;
    for (int64_t i = 0; i < group.prefix; ++i) {
      std::copy_n(shared + (i * heads.groups + g) * heads.width, heads.width, block + i * heads.width);
    }
    for (int64_t i = 0; i < group.lengths[b]; ++i) {
      std::copy_n(own + ((group.starts[b] + i) * heads.groups + g) * heads.width, heads.width,
                  block + (group.prefix + i) * heads.width);
    }
  });
  return out;
}

// Gradient of GatherKeys: own rows are written to `rows` [T, G, d], prefix rows summed over the segments in fp32 into
// `shared` [P, G, d].
template <typename T>
void ScatterKeys(const at::Tensor& padded, const Group& group, const Heads& heads, at::Tensor& rows,
                 at::Tensor& shared) {
  const T* from = padded.const_data_ptr<T>();
  T* own = rows.mutable_data_ptr<T>();
  ops::ForRows(group.count() * heads.groups, group.longest * heads.width, [&](int64_t item) {
    const int64_t b = item / heads.groups;
    const int64_t g = item % heads.groups;
    const T* block = from + (item * group.columns() + group.prefix) * heads.width;
    for (int64_t i = 0; i < group.lengths[b]; ++i) {
      std::copy_n(block + i * heads.width, heads.width, own + ((group.starts[b] + i) * heads.groups + g) * heads.width);
    }
  });
  if (group.prefix == 0) return;
  float* sum = shared.mutable_data_ptr<float>();
  ops::ForRows(group.prefix * heads.groups, group.count() * heads.width, [&](int64_t item) {
    const int64_t i = item / heads.groups;
    const int64_t g = item % heads.groups;
    float* to = sum + item * heads.width;
    for (int64_t b = 0; b < group.count(); ++b) {
      const T* row = from + ((b * heads.groups + g) * group.columns() + i) * heads.width;
      for (int64_t c = 0; c < heads.width; ++c) to[c] += ops::ToFloat(row[c]);
    }
  });
}

// Scores [B·G, ratio·L, P+L] -> probabilities in place: row i of a segment sees the prefix and columns up to itself, of
// these the last rule.window where that is set.
template <typename T>
void SoftmaxRows(at::Tensor& scores, const Group& group, const AttentionRule& rule) {
  const auto scale = static_cast<float>(rule.scale);
  T* data = scores.mutable_data_ptr<T>();
  const int64_t columns = group.columns();
  ops::ForRows(scores.size(0) * scores.size(1), columns, [&](int64_t row) {
    const int64_t end = group.prefix + row % group.longest + 1;
    const int64_t first = rule.window > 0 ? std::max<int64_t>(0, end - rule.window) : 0;
    const int64_t seen = end - first;
    std::fill_n(data + row * columns, first, T(0));
    T* x = data + row * columns + first;
    float largest = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : largest)
    for (int64_t i = 0; i < seen; ++i) largest = std::max(largest, ops::ToFloat(x[i]));
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < seen; ++i) sum += ops::Exp((ops::ToFloat(x[i]) - largest) * scale);
    const float inverse = 1.0F / sum;
#pragma omp simd
    for (int64_t i = 0; i < seen; ++i)
      x[i] = ops::FromFloat<T>(ops::Exp((ops::ToFloat(x[i]) - largest) * scale) * inverse);
    std::fill_n(x + seen, columns - end, T(0));
  });
}

// dS = P ∘ (dP − rowsum(P ∘ dP)) · scale, over dP in place.
template <typename T>
void SoftmaxBackwardRows(const at::Tensor& probabilities, at::Tensor& grad, float scale) {
  const T* p = probabilities.const_data_ptr<T>();
  T* g = grad.mutable_data_ptr<T>();
  const int64_t columns = grad.size(2);
  ops::ForRows(grad.size(0) * grad.size(1), columns, [&](int64_t row) {
    const T* pr = p + row * columns;
    T* gr = g + row * columns;
    float dot = 0;
#pragma omp simd reduction(+ : dot)
    for (int64_t i = 0; i < columns; ++i) dot += ops::ToFloat(pr[i]) * ops::ToFloat(gr[i]);
#pragma omp simd
    for (int64_t i = 0; i < columns; ++i) {
      gr[i] = ops::FromFloat<T>(ops::ToFloat(pr[i]) * (ops::ToFloat(gr[i]) - dot) * scale);
    }
  });
}

// The batch as groups: the in-batch prefix by itself, then all segments.
std::vector<Group> GroupsOf(const PackedBatch& batch) {
  std::vector<Group> groups;
  if (batch.prefix > 0) groups.push_back({0, batch.prefix, {0}, {batch.prefix}});
  groups.push_back(
      {batch.prefix, *std::max_element(batch.lengths.begin(), batch.lengths.end()), batch.starts(), batch.lengths});
  return groups;
}

// The probabilities of each group are kept for the backward; gathered queries, keys and values are made again there.
ops::ForwardResult PaddedForward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                 const PackedBatch& batch, const AttentionRule& rule) {
  const Heads heads{q.size(1), k.size(1), q.size(2)};
  at::Tensor out = at::empty_like(q);
  ops::Tensors saved = {q, k, v};
  const at::Tensor prefix_k = k.narrow(0, 0, batch.prefix);
  const at::Tensor prefix_v = v.narrow(0, 0, batch.prefix);
  for (const Group& group : GroupsOf(batch)) {
    ops::DispatchCompute(q.scalar_type(), [&](auto t) {
      using T = decltype(t);
      const at::Tensor keys = GatherKeys<T>(k, prefix_k, group, heads);
      at::Tensor scores = at::bmm(GatherQueries<T>(q, group, heads), keys.transpose(1, 2));
      SoftmaxRows<T>(scores, group, rule);
      ScatterQueries<T>(at::bmm(scores, GatherKeys<T>(v, prefix_v, group, heads)), group, heads, out);
      saved.push_back(scores);
    });
  }
  return {{out}, saved};
}

// Gradients of q, k and v from what PaddedForward saved.
ops::Tensors PaddedBackward(const ops::Tensors& saved, const at::Tensor& grad, const PackedBatch& batch, float scale) {
  const at::Tensor& q = saved[0];
  const at::Tensor& k = saved[1];
  const at::Tensor& v = saved[2];
  const Heads heads{q.size(1), k.size(1), q.size(2)};
  at::Tensor grad_q = at::empty_like(q);
  at::Tensor grad_k = at::empty_like(k);
  at::Tensor grad_v = at::empty_like(v);
  const auto fp32 = k.options().dtype(at::kFloat);
  at::Tensor shared_k = at::zeros({batch.prefix, heads.groups, heads.width}, fp32);
  at::Tensor shared_v = at::zeros({batch.prefix, heads.groups, heads.width}, fp32);
  size_t index = 3;
  for (const Group& group : GroupsOf(batch)) {
    const at::Tensor& probabilities = saved[index++];
    ops::DispatchCompute(q.scalar_type(), [&](auto t) {
      using T = decltype(t);
      const at::Tensor grad_out = GatherQueries<T>(grad, group, heads);
      const at::Tensor values = GatherKeys<T>(v, v.narrow(0, 0, batch.prefix), group, heads);
      ScatterKeys<T>(at::bmm(probabilities.transpose(1, 2), grad_out), group, heads, grad_v, shared_v);
      at::Tensor grad_scores = at::bmm(grad_out, values.transpose(1, 2));
      SoftmaxBackwardRows<T>(probabilities, grad_scores, scale);
      const at::Tensor keys = GatherKeys<T>(k, k.narrow(0, 0, batch.prefix), group, heads);
      ScatterQueries<T>(at::bmm(grad_scores, keys), group, heads, grad_q);
      const at::Tensor queries = GatherQueries<T>(q, group, heads);
      ScatterKeys<T>(at::bmm(grad_scores.transpose(1, 2), queries), group, heads, grad_k, shared_k);
    });
  }
  if (batch.prefix > 0) {
    grad_k.narrow(0, 0, batch.prefix).add_(shared_k);
    grad_v.narrow(0, 0, batch.prefix).add_(shared_v);
  }
  return {grad_q, grad_k, grad_v};
}

at::Tensor PaddedAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const PackedBatch& batch,
                           const AttentionRule& rule) {
  const auto forward = [&] { return PaddedForward(q, k, v, batch, rule); };
  const auto backward = [batch, scale = static_cast<float>(rule.scale)](const ops::Tensors& saved,
                                                                        const ops::Tensors& grads) {
    return PaddedBackward(saved, grads[0].contiguous(), batch, scale);
  };
  return ops::Differentiable({q, k, v}, forward, backward)[0];
}

// Rows [begin, end) of a segment through torch's flash kernel; k and v are the prefix and the segment.
struct FlashRows {
  int64_t begin, end;
  int64_t prefix;
};

at::Tensor FlashChunk(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const FlashRows& rows,
                      const AttentionRule& rule) {
  const auto heads_first = [](const at::Tensor& x) { return x.transpose(0, 1).unsqueeze(0); };
  const int64_t n = rows.end - rows.begin;
  const int64_t position = rows.prefix + rows.begin;  // of the first row
  const int64_t first = rule.window > 0 ? std::max<int64_t>(0, position + 1 - rule.window) : 0;
  const int64_t columns = rows.prefix + rows.end - first;
  const bool square = columns == n && (rule.window == 0 || n <= rule.window);
  std::optional<at::Tensor> mask;
  if (!square) {
    const at::Tensor hidden = at::full({n, columns}, -std::numeric_limits<float>::infinity(), q.options());
    mask = hidden.triu(position - first + 1);
    if (rule.window > 0) mask->add_(hidden.tril(position - first - rule.window));
  }
  const at::Tensor out = at::scaled_dot_product_attention(
      heads_first(q.narrow(0, rows.begin, n)), heads_first(k.narrow(0, first, columns)),
      heads_first(v.narrow(0, first, columns)), mask, 0.0, /*is_causal=*/square, rule.scale, /*enable_gqa=*/true);
  return out.squeeze(0).transpose(0, 1);
}

// A segment that is longer than its window goes in runs of rows, each against the keys that its rows see.
at::Tensor FlashSegment(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, int64_t prefix,
                        const AttentionRule& rule) {
  const int64_t n = q.size(0);
  if (rule.window == 0 || prefix + n <= rule.window) return FlashChunk(q, k, v, {0, n, prefix}, {rule.scale, 0});
  ops::Tensors parts;
  for (int64_t begin = 0; begin < n; begin += kWindowRows) {
    parts.push_back(FlashChunk(q, k, v, {begin, std::min(n, begin + kWindowRows), prefix}, rule));
  }
  return at::cat(parts);
}

at::Tensor FlashAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const PackedBatch& batch,
                          const AttentionRule& rule) {
  const at::Tensor prefix_k = k.narrow(0, 0, batch.prefix);
  const at::Tensor prefix_v = v.narrow(0, 0, batch.prefix);
  ops::Tensors parts;
  if (batch.prefix > 0) parts.push_back(FlashSegment(q.narrow(0, 0, batch.prefix), prefix_k, prefix_v, 0, rule));
  int64_t begin = batch.prefix;
  for (const int64_t n : batch.lengths) {
    at::Tensor keys = k.narrow(0, begin, n);
    at::Tensor values = v.narrow(0, begin, n);
    if (batch.prefix > 0) {
      keys = at::cat({prefix_k, keys});
      values = at::cat({prefix_v, values});
    }
    parts.push_back(FlashSegment(q.narrow(0, begin, n), keys, values, batch.prefix, rule));
    begin += n;
  }
  return at::cat(parts);
}

}  // namespace

at::Tensor PackedAttention(const at::Tensor& q_THd, const at::Tensor& k_TGd, const at::Tensor& v_TGd,
                           const PackedBatch& batch, const AttentionRule& rule) {
  NLA_CHECK(!batch.lengths.empty());
  const int64_t rows = batch.rows() - batch.prefix;
  const bool padded = rows <= kPaddedMeanLength * static_cast<int64_t>(batch.lengths.size());
  const at::Tensor out = padded ? PaddedAttention(q_THd, k_TGd, v_TGd.contiguous(), batch, rule)
                                : FlashAttention(q_THd, k_TGd, v_TGd, batch, rule);
  return out.reshape({q_THd.size(0), q_THd.size(1) * q_THd.size(2)});
}

}  // namespace nla
