// The work folder of a long stage, `<output>.parts/`: finished chunks of rows, each with a note, so that a run that was
// stopped goes on where it was.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

namespace nla {

class Parts {
 public:
  static constexpr int64_t kChunkRows = 512;  // input rows of a chunk; the last has fewer

  // Refuses a folder that holds another run's work, unless `replace`, which empties it.
  Parts(const std::filesystem::path& output, const std::string& run_key, bool replace);
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;
  // A run that finished no chunk leaves no folder.
  ~Parts();

  // Where a chunk's rows go (Parquet).
  std::filesystem::path Rows(int64_t chunk) const;
  // A chunk is there when its note is: the note is written after its rows.
  bool Has(int64_t chunk) const;
  void Finish(int64_t chunk, const std::map<std::string, int64_t>& note) const;
  // The chunk's note, and one count of it.
  std::map<std::string, int64_t> Note(int64_t chunk) const;
  int64_t Count(int64_t chunk, const std::string& name) const;
  // Deletes the folder: the output is whole.
  void Remove() const;

 private:
  std::filesystem::path NotePath(int64_t chunk) const;
  std::filesystem::path folder_;
};

}  // namespace nla
