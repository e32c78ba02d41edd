// `nla bench embeds`: what a request with input_embeds costs before its prefill.
#pragma once

#include "cli/commands.h"

namespace nla::cli {

void AddBenchEmbeds(Command bench, CommonOptions& common);

}  // namespace nla::cli
