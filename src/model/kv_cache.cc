// Slabs of the KV cache: one keys and one values tensor a block, zeroed so that unused tokens are finite.
#include "model/kv_cache.h"

#include <ATen/ops/zeros.h>

#include <cstring>

#include "base/fail.h"

namespace nla {

KvCache::KvCache(const ModelSpec& spec, int64_t blocks, int64_t slots, int64_t capacity, at::ScalarType dtype)
    : capacity_(capacity), lengths_(slots, 0) {
  for (int64_t block = 0; block < blocks; ++block) {
    keys_.push_back(at::zeros({slots, spec.n_kv_heads, capacity, spec.d_head}, dtype));
    values_.push_back(at::zeros({slots, spec.n_kv_heads, capacity, spec.d_head}, dtype));
  }
}

void KvCache::CopyFrom(const KvCache& other) {
  NLA_CHECK(other.slots() == slots() && other.capacity_ <= capacity_ && other.keys_.size() == keys_.size());
  for (size_t block = 0; block < keys_.size(); ++block) {
    keys_[block].narrow(2, 0, other.capacity_).copy_(other.keys_[block]);
    values_[block].narrow(2, 0, other.capacity_).copy_(other.values_[block]);
  }
  lengths_ = other.lengths_;
}

void KvCache::Store(int64_t block, int64_t slot, int64_t begin, const at::Tensor& keys_nGd,
                    const at::Tensor& values_nGd) {
  const int64_t n = keys_nGd.size(0);
  NLA_CHECK(begin + n <= capacity_);
  keys_[block].select(0, slot).narrow(1, begin, n).copy_(keys_nGd.transpose(0, 1));
  values_[block].select(0, slot).narrow(1, begin, n).copy_(values_nGd.transpose(0, 1));
}

void KvCache::StoreRows(int64_t block, std::span<const int64_t> slots, std::span<const int64_t> positions,
                        const at::Tensor& keys_BGd, const at::Tensor& values_BGd) {
  const auto store = [&](const at::Tensor& rows_BGd, const at::Tensor& slab) {
    const at::Tensor rows = rows_BGd.contiguous();
    const int64_t groups = slab.size(1);
    const int64_t bytes = slab.size(3) * static_cast<int64_t>(slab.element_size());
    const auto* from = static_cast<const std::byte*>(rows.const_data_ptr());
    auto* to = static_cast<std::byte*>(slab.mutable_data_ptr());
    for (size_t i = 0; i < slots.size(); ++i) {
      for (int64_t g = 0; g < groups; ++g) {
        std::memcpy(to + ((slots[i] * groups + g) * capacity_ + positions[i]) * bytes,
                    from + (static_cast<int64_t>(i) * groups + g) * bytes, bytes);
      }
    }
  };
  store(keys_BGd, keys_[block]);
  store(values_BGd, values_[block]);
}

}  // namespace nla
