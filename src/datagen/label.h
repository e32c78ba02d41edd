// Stage label: rows with a text get an explanation from a provider. Rows whose reply is unusable are dropped and
// counted.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "datagen/providers/provider.h"

namespace nla {

struct LabelOptions {
  std::filesystem::path input = {};   // rows with detokenized_text_truncated (av_sft_raw, ar_sft_raw)
  std::filesystem::path output = {};  // the same rows with api_explanation
  std::string provider = "context";   // a name of ProviderNames()
  ProviderOptions provider_options = {};
  bool replace = false;  // make the output again, without what an earlier run left
  std::string created_by = "nla label";
};

struct LabelResult {
  int64_t rows_in = 0;
  int64_t rows_out = 0;
  int64_t rows_resumed = 0;                // of rows_in: done by an earlier run that did not end
  std::map<std::string, int64_t> dropped;  // by reason
  bool up_to_date = false;                 // the output was there already; dropped is not known then
};

// Works in `<output>.parts/`, one file for 512 rows, and goes on there after a crash or Ctrl-C; the folder goes when
// the output is whole. Constant memory in the number of rows.
LabelResult Label(const LabelOptions& options);

}  // namespace nla
