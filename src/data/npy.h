// NumPy's .npy, formats 1.0 to 3.0: the header, and where the values lie. Internal to this folder.
#pragma once

#include "data/matrix_source.h"

namespace nla {

// The bytes that a .npy file begins with.
inline constexpr std::string_view kNpyMagic{"\x93NUMPY", 6};

// Checks the header in full; a pickled or structured array, and a type other than f2, f4 or f8, is refused.
Matrix ParseNpy(InputBytes file);

}  // namespace nla
