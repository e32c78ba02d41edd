// Fetching a repository of the hub into the cache: which files, resumed downloads, checked hashes, and the layout that
// huggingface_hub reads (docs/hub.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "net/hub.h"

namespace nla {

struct PullOptions {
  std::vector<std::string> include;  // patterns ('*' also takes '/'): only files that match one; empty: all
  std::vector<std::string> exclude;  // and none of these
  HttpOptions http = {};
};

struct PulledFile {
  std::string path;
  uint64_t size = 0;
  bool cached = false;  // was there already
};

struct PullResult {
  std::filesystem::path snapshot;  // the folder to use
  std::string commit;
  std::vector<PulledFile> files;
  std::vector<std::string> skipped;  // not asked for, or weights in another format beside safetensors
  uint64_t downloaded_bytes = 0;
};

// Files appear in the snapshot whole and with the right hash, or not at all; what was fetched of a file before a
// failure or Ctrl-C is kept and resumed. Offline: the cached snapshot, or an error.
PullResult Pull(const HubSettings& settings, const HubRepo& repo, const PullOptions& options);

// The files to fetch and, in `skipped`, the others. Without `include`, weights in other formats (.bin, .pth …) are left
// out where the repository has safetensors.
std::vector<HubFile> ChooseFiles(const std::vector<HubFile>& files, const PullOptions& options,
                                 std::vector<std::string>& skipped);

}  // namespace nla
