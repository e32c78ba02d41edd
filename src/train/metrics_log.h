// metrics.jsonl: one JSON object a line, every step once even when a run was killed and continued.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>

namespace nla {

// Appends lines; each is handed to the system at once. Not thread-safe.
class MetricsLog {
 public:
  // Keeps the lines whose `step` is at most `last_step` (those of the checkpoint that the run continues from) and cuts
  // the rest, a half-written line included.
  MetricsLog(std::filesystem::path path, int64_t last_step);
  MetricsLog(const MetricsLog&) = delete;
  MetricsLog& operator=(const MetricsLog&) = delete;
  ~MetricsLog();

  // `line` has the fields `kind` and `step`.
  void Append(const nlohmann::ordered_json& line);
  // Step of the last line of kind "eval", -1 without one.
  int64_t last_eval_step() const { return last_eval_step_; }
  // Returns when all lines are on disk.
  void Sync();

 private:
  std::filesystem::path path_;
  int fd_ = -1;
  int64_t last_eval_step_ = -1;
};

}  // namespace nla
