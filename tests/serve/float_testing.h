// The float scanner held against strtof.
#pragma once

#include <cstdint>
#include <string>

namespace nla::serve {

void ExpectLikeStrtof(const std::string& text);
// Numbers of all sizes and spellings: shortest and long ones, doubles, middles between two floats, decimals.
void ExpectRandomNumbersLikeStrtof(int64_t count, uint64_t seed);

}  // namespace nla::serve
