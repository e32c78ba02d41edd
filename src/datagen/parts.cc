// Chunks and notes of a long stage on disk.
#include "datagen/parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/fail.h"
#include "base/file.h"

namespace nla {
namespace {

constexpr uint64_t kLargestNote = 1 << 20;

[[noreturn]] void FailDamaged(const fs::path& note) {
  Fail({.where = note.string(), .what = "is damaged", .mend = "Delete the file; its chunk is made again"});
}

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

Parts::~Parts() {
  std::error_code ignored;
  const fs::directory_iterator entries(folder_, ignored);
  const bool finished_any = std::any_of(begin(entries), end(entries), [](const fs::directory_entry& entry) {
    return entry.path().extension() == ".json";
  });
  if (!finished_any) fs::remove_all(folder_, ignored);
}

void Parts::Finish(int64_t chunk, const std::map<std::string, int64_t>& note) const {
  WriteFileAtomically(NotePath(chunk), nlohmann::json(note).dump());
}

std::map<std::string, int64_t> Parts::Note(int64_t chunk) const {
  const nlohmann::json note = nlohmann::json::parse(ReadFile(NotePath(chunk), kLargestNote), nullptr, false);
  const bool sound = note.is_object() && std::all_of(note.begin(), note.end(), [](const nlohmann::json& count) {
                       return count.is_number_unsigned();
                     });
  if (!sound) FailDamaged(NotePath(chunk));
  return note;
}

int64_t Parts::Count(int64_t chunk, const std::string& name) const {
  const auto note = Note(chunk);
  const auto found = note.find(name);
  if (found == note.end()) FailDamaged(NotePath(chunk));
  return found->second;
}

}  // namespace nla
