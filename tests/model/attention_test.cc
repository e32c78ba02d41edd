// Windows of attention: one that no sequence fills changes nothing, and all kernels agree on what it hides.
#include "model/attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/einsum.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

#include "model/model_testing.h"

namespace nla {
namespace {

using testing::RelativeError;

constexpr int64_t kHeads = 4;
constexpr int64_t kGroups = 2;
constexpr int64_t kWidth = 8;

struct Rows {
  at::Tensor q, k, v;
};

Rows RandomRows(int64_t rows) {
  return {at::randn({rows, kHeads, kWidth}), at::randn({rows, kGroups, kWidth}), at::randn({rows, kGroups, kWidth})};
}

// Attention of one sequence written out: all scores, a mask, softmax.
at::Tensor WrittenOut(const Rows& rows, const AttentionRule& rule) {
  const int64_t n = rows.q.size(0);
  const at::Tensor keys = rows.k.repeat_interleave(kHeads / kGroups, 1);
  const at::Tensor values = rows.v.repeat_interleave(kHeads / kGroups, 1);
  at::Tensor scores = at::einsum("ihd,jhd->hij", {rows.q, keys}) * rule.scale;
  const at::Tensor distance = at::arange(n).unsqueeze(1) - at::arange(n).unsqueeze(0);  // query − key
  at::Tensor hidden = distance < 0;
  if (rule.window > 0) hidden = hidden.logical_or(distance >= rule.window);
  scores = scores.masked_fill(hidden, -INFINITY).softmax(-1);
  return at::einsum("hij,jhd->ihd", {scores, values}).reshape({n, kHeads * kWidth});
}

Rows Slice(const Rows& rows, int64_t begin, int64_t n) {
  return {rows.q.narrow(0, begin, n), rows.k.narrow(0, begin, n), rows.v.narrow(0, begin, n)};
}

// 20 rows: the padded path; 700: the flash path, in several runs.
class WindowTest : public ::testing::TestWithParam<int64_t> {};

TEST_P(WindowTest, EqualsAttentionWrittenOut) {
  const Rows rows = RandomRows(GetParam());
  const PackedBatch batch{0, {GetParam()}};
  for (const int64_t window : {0, 1, 7, 19, 20, 300}) {
    const AttentionRule rule{.scale = 0.3, .window = window};
    EXPECT_LT(RelativeError(PackedAttention(rows.q, rows.k, rows.v, batch, rule), WrittenOut(rows, rule)), 1e-5)
        << window;
  }
}

TEST_P(WindowTest, LargerThanTheSequenceChangesNothing) {
  const Rows rows = RandomRows(GetParam());
  const PackedBatch batch{0, {GetParam()}};
  const at::Tensor full = PackedAttention(rows.q, rows.k, rows.v, batch, {.scale = 0.3, .window = 0});
  for (const int64_t more : {0, 1, 1000}) {
    const AttentionRule rule{.scale = 0.3, .window = GetParam() + more};
    EXPECT_EQ(RelativeError(PackedAttention(rows.q, rows.k, rows.v, batch, rule), full), 0);
  }
}

TEST_P(WindowTest, SlidesOverASharedPrefix) {
  const int64_t n = GetParam();
  const int64_t prefix = 9;
  const Rows rows = RandomRows(prefix + 2 * n);
  const PackedBatch batch{prefix, {n, n}};
  for (const int64_t window : {3, 12, 280}) {
    const AttentionRule rule{.scale = 0.3, .window = window};
    const at::Tensor out = PackedAttention(rows.q, rows.k, rows.v, batch, rule);
    for (int64_t s = 0; s < 2; ++s) {
      const Rows start = Slice(rows, 0, prefix);
      const Rows segment = Slice(rows, prefix + s * n, n);
      const Rows whole = {at::cat({start.q, segment.q}), at::cat({start.k, segment.k}), at::cat({start.v, segment.v})};
      const at::Tensor wanted = WrittenOut(whole, rule).narrow(0, prefix, n);
      EXPECT_LT(RelativeError(out.narrow(0, prefix + s * n, n), wanted), 1e-5) << window;
    }
  }
}

TEST_P(WindowTest, GradientsEqualThoseOfAttentionWrittenOut) {
  const AttentionRule rule{.scale = 0.3, .window = 7};
  const Rows rows = RandomRows(GetParam());
  const at::Tensor weights = at::randn({GetParam(), kHeads * kWidth});
  const auto gradients = [&](auto run) {
    Rows leaves = {rows.q.clone(), rows.k.clone(), rows.v.clone()};
    for (at::Tensor* leaf : {&leaves.q, &leaves.k, &leaves.v}) leaf->requires_grad_(true);
    (run(leaves) * weights).sum().backward();
    return std::vector<at::Tensor>{leaves.q.grad(), leaves.k.grad(), leaves.v.grad()};
  };
  const PackedBatch batch{0, {GetParam()}};
  const auto found = gradients([&](const Rows& r) { return PackedAttention(r.q, r.k, r.v, batch, rule); });
  const auto wanted = gradients([&](const Rows& r) { return WrittenOut(r, rule); });
  for (size_t i = 0; i < wanted.size(); ++i) EXPECT_LT(RelativeError(found[i], wanted[i]), 1e-5) << i;
}

INSTANTIATE_TEST_SUITE_P(PaddedAndFlash, WindowTest, ::testing::Values(20, 700));

// A cache of one block whose only heads are these tests'.
KvPages Pages(int64_t pages) {
  ModelSpec spec;
  spec.n_blocks = 1;
  spec.n_kv_heads = kGroups;
  spec.d_head = kWidth;
  return {spec, 1, pages, at::kFloat};
}

TEST(PagedAttention, EqualsAttentionWrittenOut) {
  const Rows rows = RandomRows(70);
  KvPages cache = Pages(9);
  const std::vector<int32_t> pages = {4, 8, 0, 3, 5};
  for (const int64_t window : {0, 1, 6, 16, 33, 70, 71}) {
    const AttentionRule rule{.scale = 0.3, .window = window};
    const at::Tensor wanted = WrittenOut(rows, rule);
    for (int64_t begin = 0; begin < 70;) {
      const int64_t n = std::min<int64_t>(70 - begin, begin < 40 ? 20 : 1);
      const PagedRows sequence{pages, begin, n};
      const Rows part = Slice(rows, begin, n);
      cache.Store(0, {&sequence, 1}, part.k, part.v);
      const at::Tensor out = PagedAttention(part.q, cache, 0, {&sequence, 1}, rule);
      EXPECT_LT(RelativeError(out, wanted.narrow(0, begin, n)), 1e-5) << window;
      begin += n;
    }
  }
}

TEST(PagedAttention, ARowDoesNotDependOnItsCompany) {
  const AttentionRule rule{.scale = 0.3, .window = 0};
  const Rows rows = RandomRows(60);
  KvPages cache = Pages(6);
  const std::vector<int32_t> pages[2] = {{1, 0}, {5, 2, 3}};
  const PagedRows both[2] = {{pages[0], 0, 20}, {pages[1], 0, 40}};
  cache.Store(0, both, rows.k, rows.v);
  const at::Tensor together = PagedAttention(rows.q, cache, 0, both, rule);
  const at::Tensor first = PagedAttention(rows.q.narrow(0, 0, 20), cache, 0, {both, 1}, rule);
  const at::Tensor second = PagedAttention(rows.q.narrow(0, 20, 40), cache, 0, {both + 1, 1}, rule);
  EXPECT_TRUE(together.equal(at::cat({first, second})));
  const PagedRows last{pages[1], 39, 1};
  EXPECT_TRUE(PagedAttention(rows.q.narrow(0, 59, 1), cache, 0, {&last, 1}, rule).equal(second.narrow(0, 39, 1)));
}

}  // namespace
}  // namespace nla
