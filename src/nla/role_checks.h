// What loading a side whole and using parts of it share.
#pragma once

#include "nla/role_checkpoint.h"

namespace nla {

// The tokenizer against the sidecar's hash, where that has one.
void CheckTokenizer(const RoleSource& source, const ModelSidecar& sidecar, const Tokenizer& tokenizer);

// The chat format of the directory with the side's tokenizer. Where the template says a day, it is that of training.
ChatFormat LoadChat(const std::filesystem::path& directory, const ModelSidecar& sidecar);

}  // namespace nla
