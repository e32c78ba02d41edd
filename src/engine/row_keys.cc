// One SHA-256 a row.
#include "engine/row_keys.h"

#include <ATen/Parallel.h>

#include <cstring>
#include <string_view>

#include "base/fail.h"
#include "base/hash.h"

namespace nla {

std::vector<RowKey> KeysOf(const at::Tensor& rows_TD) {
  NLA_CHECK(rows_TD.scalar_type() == at::kFloat && rows_TD.is_contiguous());
  const size_t bytes = rows_TD.size(1) * sizeof(float);
  const auto* data = static_cast<const char*>(rows_TD.const_data_ptr());
  std::vector<RowKey> keys(rows_TD.size(0));
  at::parallel_for(0, rows_TD.size(0), 16, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const auto digest = Sha256(std::string_view(data + row * bytes, bytes));
      std::memcpy(keys[row].data(), digest.data(), sizeof(RowKey));
    }
  });
  return keys;
}

}  // namespace nla
