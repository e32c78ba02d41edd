// `nla bench decode` and `nla bench prefill`: the engine beside transformers, on prompts of equal length.
#pragma once

#include "cli/commands.h"

namespace nla::cli {

void AddBenchDecode(Command bench, CommonOptions& common);
void AddBenchPrefill(Command bench, CommonOptions& common);
void AddBenchServe(Command bench, CommonOptions& common);  // bench_serve.cc

}  // namespace nla::cli
