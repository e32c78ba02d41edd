// Stage build: explained rows into what training reads. av_sft and rl get the verbalizer's prompt, ar_sft the filled
// prompt of the reconstructor; the sidecar gets the templates, the marker's facts and the reconstructor prompt's tail.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "data/dataset_sidecar.h"

namespace nla {

struct BuildOptions {
  std::filesystem::path input = {};  // explained rows; for stage rl base rows will do
  std::filesystem::path output = {};
  std::string stage = {};                // av_sft | ar_sft | rl
  std::filesystem::path model_dir = {};  // tokenizer and chat format; empty: the sidecar's base_model
  std::string actor_template = {};       // empty: kDefaultActorTemplate
  std::string critic_template = {};      // empty: kDefaultCriticTemplate
  std::string injection_char = {};       // empty: ChooseMarker's choice
  std::string chat_date = {};            // YYYY-MM-DD that a chat template with a date says; empty: kDefaultChatDate
  bool keep_text = true;                 // carry detokenized_text_truncated on
  bool replace = false;
  std::string created_by = "nla build";
};

struct BuildResult {
  int64_t rows_in = 0;
  int64_t rows_out = 0;
  int64_t dropped_without_explanation = 0;
  TokenFacts tokens;
  bool up_to_date = false;
};

BuildResult Build(const BuildOptions& options);

}  // namespace nla
