// Pages of keys and values: one keys and one values tensor a block.
#include "model/kv_pages.h"

#include <ATen/ops/empty.h>

#include <cstring>

#include "base/fail.h"

namespace nla {
namespace {

// Rows [T, G, d] of all sequences to their places in `slab` [pages, G, kPageTokens, d].
void StoreRows(std::span<const PagedRows> sequences, const at::Tensor& rows_TGd, const at::Tensor& slab) {
  const at::Tensor rows = rows_TGd.contiguous();
  const int64_t groups = slab.size(1);
  const int64_t bytes = slab.size(3) * static_cast<int64_t>(slab.element_size());
  const auto* from = static_cast<const std::byte*>(rows.const_data_ptr());
  auto* to = static_cast<std::byte*>(slab.mutable_data_ptr());
  for (const PagedRows& sequence : sequences) {
    for (int64_t token = sequence.stored; token < sequence.stored + sequence.rows; ++token) {
      const int64_t page = sequence.pages[token / kPageTokens];
      for (int64_t g = 0; g < groups; ++g, from += bytes) {
        std::memcpy(to + ((page * groups + g) * kPageTokens + token % kPageTokens) * bytes, from, bytes);
      }
    }
  }
}

}  // namespace

KvPages::KvPages(const ModelSpec& spec, int64_t blocks, int64_t pages, at::ScalarType dtype) : pages_(pages) {
  NLA_CHECK(pages > 0 && blocks > 0 && blocks <= spec.n_blocks);
  for (int64_t block = 0; block < blocks; ++block) {
    keys_.push_back(at::empty({pages, spec.n_kv_heads, kPageTokens, spec.d_head}, dtype));
    values_.push_back(at::empty({pages, spec.n_kv_heads, kPageTokens, spec.d_head}, dtype));
  }
}

void KvPages::Store(int64_t block, std::span<const PagedRows> sequences, const at::Tensor& k_TGd,
                    const at::Tensor& v_TGd) {
  StoreRows(sequences, k_TGd, keys_[block]);
  StoreRows(sequences, v_TGd, values_[block]);
}

void KvPages::CopyPage(int32_t from, int32_t to, int64_t tokens) {
  NLA_CHECK(tokens > 0 && tokens <= kPageTokens);
  for (const std::vector<at::Tensor>* slabs : {&keys_, &values_}) {
    for (const at::Tensor& slab : *slabs) {
      slab.select(0, to).narrow(1, 0, tokens).copy_(slab.select(0, from).narrow(1, 0, tokens));
    }
  }
}

}  // namespace nla
