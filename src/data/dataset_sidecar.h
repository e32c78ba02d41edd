// `<file>.parquet.nla_meta.yaml`: the facts of a dataset (kind nla_dataset, schema_version 1; formats.md section 3).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace nla {

// The marker token and what must stand around it; also the tail every reconstructor prompt ends with.
struct TokenFacts {
  std::string injection_char;
  TokenId injection_token_id = -1;
  TokenId injection_left_neighbor_id = -1;
  TokenId injection_right_neighbor_id = -1;
  std::vector<TokenId> critic_suffix_ids;
  bool operator==(const TokenFacts&) const = default;
};

struct ApiSummaries {
  std::string model;
  int64_t max_tokens = 0;
  double temperature = 0;
  std::string instruction_prompt;
};

struct DatasetSidecar {
  std::string dataset_id;
  std::string stage = "base";  // base | av_sft | ar_sft | rl
  int64_t row_count = 0;
  // extraction
  std::string base_model;
  int64_t d_model = 0;
  int64_t layer_index = 0;
  std::string norm = "none";
  std::string corpus;
  int64_t corpus_start = 0;
  int64_t corpus_length = 0;  // documents actually in the slice
  int64_t positions_per_doc = 0;
  bool keep_debug_metadata = true;
  std::optional<TokenFacts> tokens;  // required from stage build on
  std::string actor_template;        // prompt_templates.actor
  std::string critic_template;       // prompt_templates.critic
  std::optional<ApiSummaries> api_summaries;
  std::vector<std::string> parent_datasets;
  std::string created_at;  // ISO-8601, UTC
  std::string created_by;  // "nla 0.1.0 extract"
  std::string git_commit;
  // Our own facts under `nla_cpp:`; written when not empty: seed, min_position, max_length, norm percentiles …
  std::vector<std::pair<std::string, std::string>> extra;
};

std::filesystem::path SidecarPath(const std::filesystem::path& parquet);
// A missing file, an unknown kind or version, or a missing field is an error that names it.
DatasetSidecar ReadDatasetSidecar(const std::filesystem::path& parquet);
void WriteDatasetSidecar(const std::filesystem::path& parquet, const DatasetSidecar& sidecar);

// The fact that names the day in the prompts of a chat template that says one.
inline constexpr const char* kChatDateFact = "chat_date";

// Sets a fact of `extra`, replacing an earlier value.
void SetExtra(DatasetSidecar& sidecar, const std::string& key, const std::string& value);
// The fact, or "" when it is not there.
std::string FindExtra(const DatasetSidecar& sidecar, const std::string& key);

}  // namespace nla
