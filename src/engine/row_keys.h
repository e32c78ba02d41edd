// What a prompt row is recognised by: equal keys mean equal bytes.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <vector>

namespace nla {

// The first half of the SHA-256 of an embedding row: strong enough that nobody can make two rows share one.
using RowKey = std::array<uint64_t, 2>;

// One key for each row of rows_TD (fp32).
std::vector<RowKey> KeysOf(const at::Tensor& rows_TD);

}  // namespace nla
