// `nla bench load`: the time from starting a process to a prompt's first token, beside transformers.
#pragma once

#include "cli/commands.h"

namespace nla::cli {

void AddBenchLoad(Command bench, CommonOptions& common);

}  // namespace nla::cli
