// TensorBoard event files: the numbers of metrics.jsonl as scalar curves, for `tensorboard --logdir RUN`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace nla {

// Records are TFRecords (length, payload, a masked CRC-32C of each) of tensorflow.Event messages. Each returns one
// whole record; `wall_time` is in seconds since 1970.
namespace event_record {
// The first record of every file.
std::string Version(double wall_time);
// Readers drop what earlier files of the directory say of `step` and later ones: a continued run says it again.
std::string SessionStart(double wall_time, int64_t step);
// Every number of `line` but `step`, named KIND/FIELD, or KIND/FIELD/INNER inside an object; in float32.
std::string Scalars(double wall_time, const nlohmann::ordered_json& line);
}  // namespace event_record

// One file in `directory`, new for each start or continuation of a run; each record is handed to the system at once.
// Not thread-safe.
class EventFile {
 public:
  // `first_step` is the first that this process does.
  EventFile(const std::filesystem::path& directory, int64_t first_step);
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;
  ~EventFile();

  // `line` has the fields `kind` and `step`.
  void Append(const nlohmann::ordered_json& line);

 private:
  void Write(std::string_view record);

  std::filesystem::path path_;
  int fd_ = -1;
};

}  // namespace nla
