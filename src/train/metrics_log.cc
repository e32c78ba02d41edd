// Appending to and cutting back metrics.jsonl.
#include "train/metrics_log.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/write_all.h"

namespace nla {
namespace {

struct KeptLines {
  std::string text;
  int64_t last_eval_step = -1;
};

// The lines up to the last step; the first line that is not whole ends them.
KeptLines LinesThrough(const std::string& text, int64_t last_step) {
  KeptLines kept;
  size_t begin = 0;
  for (size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
    const std::string line = text.substr(begin, end - begin);
    const nlohmann::json parsed = nlohmann::json::parse(line, nullptr, false);
    if (!parsed.is_object() || !parsed.contains("step") || !parsed["step"].is_number_integer()) break;
    begin = end + 1;
    const auto step = parsed["step"].get<int64_t>();
    if (step > last_step) continue;
    kept.text += line + "\n";
    if (parsed.value("kind", "") == "eval") kept.last_eval_step = step;
  }
  return kept;
}

}  // namespace

MetricsLog::MetricsLog(std::filesystem::path path, int64_t last_step) : path_(std::move(path)) {
  const KeptLines kept = fs::exists(path_) ? LinesThrough(ReadFile(path_), last_step) : KeptLines();
  WriteFileAtomically(path_, kept.text);
  last_eval_step_ = kept.last_eval_step;
  fd_ = open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd_ < 0) FailErrno(path_, "cannot open");
}

MetricsLog::~MetricsLog() {
  if (fd_ >= 0) close(fd_);
}

void MetricsLog::Append(const nlohmann::ordered_json& line) {
  NLA_CHECK(line.contains("step") && line.contains("kind"));
  if (line["kind"] == "eval") last_eval_step_ = line["step"].get<int64_t>();
  WriteAll(fd_, line.dump() + "\n", path_);
}

void MetricsLog::Sync() {
  if (fsync(fd_) != 0) FailErrno(path_, "cannot flush to disk");
}

}  // namespace nla
