// The generator that data stages draw from: seeded by the SHA-256 of a text key, as the reference's are.
#pragma once

#include <string_view>

#include "base/hash.h"
#include "base/random.h"

namespace nla {

// CPython's random.Random(hashlib.sha256(key.encode()).digest()).
inline PythonRandom KeyedRandom(std::string_view key) {
  const auto digest = Sha256(key);
  return PythonRandom::FromBytes({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

}  // namespace nla
