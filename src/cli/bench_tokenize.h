// `nla bench tokenize`: encoding beside the `tokenizers` library, on one thread each.
#pragma once

#include "cli/commands.h"

namespace nla::cli {

void AddBenchTokenize(Command bench, CommonOptions& common);

}  // namespace nla::cli
