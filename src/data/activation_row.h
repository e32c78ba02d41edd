// One row of an activation dataset at any stage (formats.md section 3). Columns a stage lacks stay empty.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "text/chat.h"

namespace nla {

struct ActivationRow {
  int64_t n_raw_tokens = 0;                  // 1-based count of tokens up to and including the position
  int64_t activation_layer = 0;              // K: output of block K, 0-based
  std::string doc_id;                        // {corpus}:{split}:{index}
  std::vector<float> activation;             // RAW residual stream, [d]
  std::string text;                          // detokenized_text_truncated
  std::string explanation;                   // api_explanation (explained)
  std::vector<ChatMessage> prompt_messages;  // prompt of av_sft and rl; the marker is the literal <INJECT>
  std::string prompt_text;                   // prompt of ar_sft: the filled template
  std::string response;                      // av_sft
};

// Which columns a file has; decides its schema when written.
enum class RowSchema { kBase, kExplained, kAvSft, kArSft, kRl };

}  // namespace nla
