// The model hub's HTTP interface and where its files are kept on disk: the environment variables, the API and the cache
// layout of huggingface_hub, so that both programs find what the other fetched. Fetching is pull.h's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "net/http.h"

namespace nla {

struct HubSettings {
  std::string endpoint;         // HF_ENDPOINT, without a slash at the end
  std::filesystem::path cache;  // HF_HUB_CACHE, else HF_HOME/hub, else ~/.cache/huggingface/hub
  std::string token;            // HF_TOKEN, else the file HF_TOKEN_PATH or HF_HOME/token; empty: none
  bool offline = false;         // HF_HUB_OFFLINE
  static HubSettings FromEnvironment();
};

struct HubRepo {
  std::string name;               // "OWNER/NAME"
  std::string revision = "main";  // branch, tag or commit

  // "hf:OWNER/NAME[@REV]"; anything else is a usage error.
  static HubRepo Parse(const std::string& text);
  std::string Shown() const;  // "hf:OWNER/NAME@REV", without "@main"
};
bool IsHubName(const std::string& text);  // begins with "hf:"

struct HubFile {
  std::string path;  // inside the repository, checked to stay there
  uint64_t size = 0;
  std::string hash;  // sha256 of a large file, git's blob sha1 of a small one; its name in the cache
  bool is_large() const { return hash.size() == 64; }
};

struct HubListing {
  std::string commit;
  std::vector<HubFile> files;  // sorted by path
};

// Asks the hub for the commit behind the revision and its files. Errors say whether the repository, the revision or the
// right to read it is missing, and what to do.
HubListing ListHubFiles(HttpClient& client, const HubSettings& settings, const HubRepo& repo);
std::string HubFileUrl(const HubSettings& settings, const HubRepo& repo, const std::string& commit,
                       const std::string& path);
// The headers of every request to the hub.
std::vector<std::pair<std::string, std::string>> HubHeaders(const HubSettings& settings);
// Ends with what an answer without success means for `what`.
[[noreturn]] void FailHub(const HttpResponse& response, const HubSettings& settings, const HubRepo& repo,
                          const std::string& what);

// CACHE/models--OWNER--NAME, with blobs/, refs/ and snapshots/.
std::filesystem::path RepoFolder(const HubSettings& settings, const HubRepo& repo);
// The snapshot that the cache has of the revision; empty when it has none.
std::filesystem::path CachedSnapshot(const HubSettings& settings, const HubRepo& repo);

// What a command takes for a model: "hf:OWNER/NAME[@REV]" becomes its folder in the cache (an error that names
// `nla pull` when it is not there), anything else stays a path.
std::filesystem::path ResolveModel(const std::string& argument);

}  // namespace nla
