// Checks of a side that loading it whole and using parts of it share.
#pragma once

#include "nla/role_checkpoint.h"

namespace nla {

// The tokenizer against the sidecar's hash, where that has one.
void CheckTokenizer(const RoleSource& source, const ModelSidecar& sidecar, const Tokenizer& tokenizer);

}  // namespace nla
