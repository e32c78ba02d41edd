// Pages of keys and values: one keys and one values tensor a block.
#include "model/kv_pages.h"

#include <ATen/ops/empty.h>

#include <algorithm>

#include "base/fail.h"
#include "model/ops/rows.h"

namespace nla {
namespace {

// Calls place(row, page, slot in the page) for the new rows of all sequences.
template <typename Place>
void ForRows(std::span<const PagedRows> sequences, const Place& place) {
  int64_t row = 0;
  for (const PagedRows& sequence : sequences) {
    for (int64_t token = sequence.stored; token < sequence.stored + sequence.rows; ++token, ++row) {
      place(row, sequence.pages[token / kPageTokens], token % kPageTokens);
    }
  }
}

template <typename T>
void StoreKeys(std::span<const PagedRows> sequences, const at::Tensor& rows, const at::Tensor& slab) {
  const int64_t groups = slab.size(1);
  const int64_t d = slab.size(2);
  const T* from = rows.const_data_ptr<T>();
  T* to = slab.mutable_data_ptr<T>();
  ForRows(sequences, [&](int64_t row, int64_t page, int64_t slot) {
    for (int64_t i = 0; i < groups * d; ++i)
      to[(page * groups * d + i) * kPageTokens + slot] = from[row * groups * d + i];
  });
}

template <typename T>
void StoreValues(std::span<const PagedRows> sequences, const at::Tensor& rows, const at::Tensor& slab) {
  const int64_t groups = slab.size(1);
  const int64_t d = slab.size(3);
  const T* from = rows.const_data_ptr<T>();
  T* to = slab.mutable_data_ptr<T>();
  ForRows(sequences, [&](int64_t row, int64_t page, int64_t slot) {
    for (int64_t g = 0; g < groups; ++g) {
      std::copy_n(from + (row * groups + g) * d, d, to + ((page * groups + g) * kPageTokens + slot) * d);
    }
  });
}

}  // namespace

KvPages::KvPages(const ModelSpec& spec, int64_t blocks, int64_t pages, at::ScalarType dtype) : pages_(pages) {
  NLA_CHECK(pages > 0 && blocks > 0 && blocks <= spec.n_blocks);
  for (int64_t block = 0; block < blocks; ++block) {
    keys_.push_back(at::empty({pages, spec.n_kv_heads, spec.d_head, kPageTokens}, dtype));
    values_.push_back(at::empty({pages, spec.n_kv_heads, kPageTokens, spec.d_head}, dtype));
  }
}

void KvPages::Store(int64_t block, std::span<const PagedRows> sequences, const at::Tensor& k_TGd,
                    const at::Tensor& v_TGd) {
  const at::Tensor k = k_TGd.contiguous();
  const at::Tensor v = v_TGd.contiguous();
  ops::DispatchCompute(k.scalar_type(), [&](auto t) {
    StoreKeys<decltype(t)>(sequences, k, keys_[block]);
    StoreValues<decltype(t)>(sequences, v, values_[block]);
  });
}

void KvPages::CopyPage(int32_t from, int32_t to, int64_t tokens) {
  NLA_CHECK(tokens > 0 && tokens <= kPageTokens);
  for (int64_t block = 0; block < static_cast<int64_t>(keys_.size()); ++block) {
    keys_[block].select(0, to).narrow(2, 0, tokens).copy_(keys_[block].select(0, from).narrow(2, 0, tokens));
    values_[block].select(0, to).narrow(1, 0, tokens).copy_(values_[block].select(0, from).narrow(1, 0, tokens));
  }
}

}  // namespace nla
