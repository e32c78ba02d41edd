// Attention of new rows over pages of keys and values: a task is one row and one group of query heads, whose arithmetic
// is attend_row.h's.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <vector>

#include "model/attend_row.h"
#include "model/attention.h"
#include "model/ops/rows.h"

namespace nla {

std::vector<AttendedRow> RowsOf(std::span<const PagedRows> sequences, const AttentionRule& rule) {
  std::vector<AttendedRow> rows;
  for (const PagedRows& sequence : sequences) {
    for (int64_t i = 0; i < sequence.rows; ++i) {
      const int64_t end = sequence.stored + i + 1;
      rows.push_back({sequence.pages.data(), rule.window > 0 ? std::max<int64_t>(0, end - rule.window) : 0, end});
    }
  }
  return rows;
}

at::Tensor PagedAttention(const at::Tensor& q_THd, const KvPages& cache, int64_t block,
                          std::span<const PagedRows> sequences, const AttentionRule& rule) {
  const at::Tensor& values = cache.values(block);
  const AttentionShape shape{q_THd.size(1), values.size(1), q_THd.size(2)};
  const std::vector<AttendedRow> rows = RowsOf(sequences, rule);
  NLA_CHECK(static_cast<int64_t>(rows.size()) == q_THd.size(0));
  int64_t longest = 0;
  int64_t total = 0;
  for (const AttendedRow& row : rows) {
    longest = std::max(longest, row.end - row.first);
    total += row.end - row.first;
  }
  const int64_t mean_work = total / static_cast<int64_t>(rows.size()) * shape.ratio() * shape.d;
  const int64_t grain = std::max<int64_t>(1, ops::kElementsPerTask / std::max<int64_t>(1, mean_work));
  const int64_t width = shape.ratio() * shape.d;
  const at::Tensor q = q_THd.contiguous();
  at::Tensor out = at::empty({q_THd.size(0), shape.heads * shape.d}, q_THd.options());
  ops::DispatchCompute(q_THd.scalar_type(), [&](auto t) {
    using T = decltype(t);
    const T* from = q.const_data_ptr<T>();
    const AttentionSlabs<T> slabs{cache.keys(block).const_data_ptr<T>(), values.const_data_ptr<T>(), shape};
    T* to = out.mutable_data_ptr<T>();
    const auto scale = static_cast<float>(rule.scale);
    at::parallel_for(0, q_THd.size(0) * shape.groups, grain, [&](int64_t begin, int64_t end) {
      AttentionScratch scratch(longest, shape);
      std::vector<float> query(width);
      std::vector<float> sum(width);
      for (int64_t item = begin; item < end; ++item) {
        const int64_t offset = item * width;
        for (int64_t c = 0; c < width; ++c) query[c] = ops::ToFloat(from[offset + c]) * scale;
        AttendGroup(query.data(), rows[item / shape.groups], item % shape.groups, slabs, scratch, sum.data());
        for (int64_t c = 0; c < width; ++c) to[offset + c] = ops::FromFloat<T>(sum[c]);
      }
    });
  });
  return out;
}

}  // namespace nla
