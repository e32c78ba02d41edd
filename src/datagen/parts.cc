// Chunks and notes of a long stage on disk.
#include "datagen/parts.h"

#include <fmt/format.h>

#include "base/fail.h"
#include "base/file.h"

namespace nla {
namespace {

constexpr uint64_t kLargestNote = 1 << 20;

}  // namespace

Parts::Parts(const fs::path& output, const std::string& run_key, bool replace) : folder_(output.string() + ".parts") {
  const fs::path key_file = folder_ / "run_key";
  if (replace) fs::remove_all(folder_);
  if (fs::exists(key_file) && ReadFile(key_file, kLargestNote) != run_key) {
    Fail({.where = folder_.string(),
          .what = "holds the unfinished work of another run (other input or other options)",
          .mend = "Give the options of that run to finish it, or pass --replace to lose it"});
  }
  fs::create_directories(folder_);
  WriteFileAtomically(key_file, run_key);
}

fs::path Parts::Rows(int64_t chunk) const { return folder_ / fmt::format("rows_{:08}.parquet", chunk); }
fs::path Parts::NotePath(int64_t chunk) const { return folder_ / fmt::format("rows_{:08}.json", chunk); }
bool Parts::Has(int64_t chunk) const { return fs::exists(NotePath(chunk)); }
void Parts::Remove() const { fs::remove_all(folder_); }

void Parts::Finish(int64_t chunk, const nlohmann::json& note) const {
  WriteFileAtomically(NotePath(chunk), note.dump());
}

nlohmann::json Parts::Note(int64_t chunk) const {
  nlohmann::json note = nlohmann::json::parse(ReadFile(NotePath(chunk), kLargestNote), nullptr, false);
  if (!note.is_object()) {
    Fail({.where = NotePath(chunk).string(), .what = "is damaged", .mend = "Delete the file; its chunk is made again"});
  }
  return note;
}

}  // namespace nla
