// Environment, API and cache layout.
#include "net/hub.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/ascii.h"
#include "base/fail.h"
#include "base/file.h"

namespace nla {
namespace {

constexpr const char* kDefaultEndpoint = "https://huggingface.co";
constexpr size_t kMostFiles = 100'000;

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// As huggingface_hub reads flags.
bool Flag(const char* name) {
  const std::string value = AsciiLowered(Environment(name));
  return value == "1" || value == "on" || value == "yes" || value == "true";
}

bool IsHex(const std::string& text, size_t length) {
  return text.size() == length && text.find_first_not_of("0123456789abcdef") == text.npos;
}

bool IsNameCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
}

// Neither empty nor "." or "..", so that it can be a folder's name.
bool IsPlainName(const std::string& text) {
  return !text.empty() && text != "." && text != ".." && std::all_of(text.begin(), text.end(), IsNameCharacter);
}

// A relative path that leads nowhere else: no empty part, no "..", no backslash, no NUL.
bool StaysInside(const std::string& path) {
  if (path.empty() || path.find_first_of(std::string_view("\\\0", 2)) != path.npos) return false;
  size_t begin = 0;
  while (begin <= path.size()) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return false;
    begin = end + 1;
  }
  return true;
}

std::string HomeFolder() {
  const std::string home = Environment("HOME");
  return home.empty() ? "." : home;
}

std::string ReadToken(const fs::path& home) {
  for (const char* name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}) {
    if (std::string token = Environment(name); !token.empty()) return token;
  }
  const std::string given = Environment("HF_TOKEN_PATH");
  const fs::path path = given.empty() ? home / "token" : fs::path(given);
  if (!fs::is_regular_file(path)) return "";
  std::string token = ReadFile(path, 1 << 16);
  while (!token.empty() && std::isspace(static_cast<unsigned char>(token.back())) != 0) token.pop_back();
  return token;
}

nlohmann::json ParseAnswer(const HttpResponse& response, const std::string& where) {
  nlohmann::json document = nlohmann::json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) Fail({.where = where, .what = "the answer is not JSON"});
  return document;
}

HubFile ReadEntry(const nlohmann::json& entry, const std::string& where) {
  HubFile file;
  try {
    file.path = entry.at("path").get<std::string>();
    file.size = entry.at("size").get<uint64_t>();
    file.hash = entry.at("oid").get<std::string>();
    if (entry.contains("lfs") && entry["lfs"].is_object()) {
      file.hash = entry["lfs"].at("oid").get<std::string>();
      file.size = entry["lfs"].at("size").get<uint64_t>();
    }
  } catch (const nlohmann::json::exception& error) {
    Fail({.where = where, .what = fmt::format("an entry of the file list is unreadable ({})", error.what())});
  }
  if (!StaysInside(file.path)) {
    Fail({.where = where, .what = "a file's path leads out of the repository", .found = file.path});
  }
  if (!IsHex(file.hash, 40) && !IsHex(file.hash, 64)) {
    Fail({.where = where + ": " + file.path, .what = "its hash is neither sha1 nor sha256", .found = file.hash});
  }
  return file;
}

// The URL of `Link: <…>; rel="next"`, which must stay on the hub.
std::string NextPage(const HttpResponse& response, const std::string& endpoint) {
  const auto found = response.headers.find("link");
  if (found == response.headers.end() || found->second.find("rel=\"next\"") == std::string::npos) return "";
  const size_t begin = found->second.find('<');
  const size_t end = found->second.find('>');
  if (begin == std::string::npos || end == std::string::npos || end < begin) return "";
  std::string url = found->second.substr(begin + 1, end - begin - 1);
  return SameOrigin(url, endpoint) ? url : "";
}

std::string ApiUrl(const HubSettings& settings, const HubRepo& repo) {
  return fmt::format("{}/api/models/{}", settings.endpoint, repo.name);
}

}  // namespace

HubSettings HubSettings::FromEnvironment() {
  HubSettings settings;
  settings.endpoint = Environment("HF_ENDPOINT");
  if (settings.endpoint.empty()) settings.endpoint = kDefaultEndpoint;
  while (settings.endpoint.ends_with('/')) settings.endpoint.pop_back();
  fs::path home = Environment("HF_HOME");
  if (home.empty()) {
    const std::string caches = Environment("XDG_CACHE_HOME");
    home = (caches.empty() ? fs::path(HomeFolder()) / ".cache" : fs::path(caches)) / "huggingface";
  }
  settings.cache = home / "hub";
  for (const char* name : {"HUGGINGFACE_HUB_CACHE", "HF_HUB_CACHE"}) {
    if (const std::string cache = Environment(name); !cache.empty()) settings.cache = cache;
  }
  settings.token = ReadToken(home);
  settings.offline = Flag("HF_HUB_OFFLINE");
  return settings;
}

bool IsHubName(const std::string& text) { return text.starts_with("hf:"); }

HubRepo HubRepo::Parse(const std::string& text) {
  HubRepo repo;
  const std::string rest = IsHubName(text) ? text.substr(3) : "";
  const size_t at = rest.find('@');
  repo.name = rest.substr(0, at);
  if (at != rest.npos) repo.revision = rest.substr(at + 1);
  const size_t slash = repo.name.find('/');
  const bool sound = slash != repo.name.npos && IsPlainName(repo.name.substr(0, slash)) &&
                     IsPlainName(repo.name.substr(slash + 1)) && StaysInside(repo.revision);
  if (!sound) {
    FailUsage({.where = "model",
               .what = "is not a repository of the hub",
               .found = text,
               .wanted = "hf:OWNER/NAME or hf:OWNER/NAME@REVISION"});
  }
  return repo;
}

std::string HubRepo::Shown() const { return "hf:" + name + (revision == "main" ? "" : "@" + revision); }

std::vector<std::pair<std::string, std::string>> HubHeaders(const HubSettings& settings) {
  if (settings.token.empty()) return {};
  return {{"Authorization", "Bearer " + settings.token}};
}

void FailHub(const HttpResponse& response, const HubSettings& settings, const HubRepo& repo, const std::string& what) {
  Complaint complaint{.where = repo.Shown(), .what = what};
  const auto header = [&](const char* name) {
    const auto found = response.headers.find(name);
    return found == response.headers.end() ? std::string() : found->second;
  };
  const std::string code = header("x-error-code");
  const std::string token_mend = settings.token.empty() ? "Set HF_TOKEN to a token that may read it"
                                                        : "The token in use may not read it: check HF_TOKEN";
  if (!response.error.empty()) {
    complaint.found = response.error;
    complaint.mend =
        fmt::format("Check the network and HF_ENDPOINT ({}); what was fetched is kept and resumed", settings.endpoint);
  } else if (code == "GatedRepo" || response.status == 403) {
    complaint.found = "access is restricted";
    complaint.mend = "Ask for access on the model's page, then: " + token_mend;
  } else if (code == "RevisionNotFound") {
    complaint.found = "no such revision";
    complaint.mend = "Name a branch, tag or commit that the repository has";
  } else if (code == "EntryNotFound") {
    complaint.found = "no such file";
  } else if (response.status == 401 || response.status == 404) {
    complaint.found = "no such repository, or it is not public";
    complaint.mend = "Check the spelling. If it is private: " + token_mend;
  } else {
    complaint.found = fmt::format("the hub answered {} {}", response.status, header("x-error-message"));
    while (complaint.found.ends_with(' ')) complaint.found.pop_back();
    if (response.may_retry) complaint.mend = "Try again later; what was fetched is kept and resumed";
  }
  Fail(complaint);
}

HubListing ListHubFiles(HttpClient& client, const HubSettings& settings, const HubRepo& repo) {
  const std::string info_url = fmt::format("{}/revision/{}", ApiUrl(settings, repo), PercentEncode(repo.revision));
  const HttpResponse info = client.Run(HttpRequest{.url = info_url, .headers = HubHeaders(settings)});
  if (!info.ok()) FailHub(info, settings, repo, "cannot be read");
  HubListing listing;
  const nlohmann::json facts = ParseAnswer(info, info_url);
  if (facts.is_object() && facts.contains("sha") && facts["sha"].is_string()) listing.commit = facts["sha"];
  if (!IsHex(listing.commit, 40)) Fail({.where = info_url, .what = "the answer names no commit"});
  std::string url = fmt::format("{}/tree/{}?recursive=true", ApiUrl(settings, repo), listing.commit);
  while (!url.empty()) {
    const HttpResponse page = client.Run(HttpRequest{.url = url, .headers = HubHeaders(settings)});
    if (!page.ok()) FailHub(page, settings, repo, "its files cannot be listed");
    const nlohmann::json entries = ParseAnswer(page, url);
    if (!entries.is_array()) Fail({.where = url, .what = "the answer is not a list of files"});
    for (const nlohmann::json& entry : entries) {
      if (entry.is_object() && entry.value("type", "") == "file") listing.files.push_back(ReadEntry(entry, url));
    }
    if (listing.files.size() > kMostFiles) Fail({.where = repo.Shown(), .what = "has too many files"});
    url = NextPage(page, settings.endpoint);
  }
  std::sort(listing.files.begin(), listing.files.end(),
            [](const HubFile& a, const HubFile& b) { return a.path < b.path; });
  return listing;
}

std::string HubFileUrl(const HubSettings& settings, const HubRepo& repo, const std::string& commit,
                       const std::string& path) {
  return fmt::format("{}/{}/resolve/{}/{}", settings.endpoint, repo.name, commit, PercentEncode(path, "/"));
}

fs::path RepoFolder(const HubSettings& settings, const HubRepo& repo) {
  std::string name = repo.name;
  name.replace(name.find('/'), 1, "--");
  return settings.cache / ("models--" + name);
}

fs::path CachedSnapshot(const HubSettings& settings, const HubRepo& repo) {
  const fs::path folder = RepoFolder(settings, repo);
  std::string commit = repo.revision;
  if (!IsHex(commit, 40)) {
    const fs::path ref = folder / "refs" / repo.revision;
    if (!fs::is_regular_file(ref)) return {};
    commit = ReadFile(ref, 4096);
    commit.erase(std::remove_if(commit.begin(), commit.end(), [](unsigned char c) { return std::isspace(c) != 0; }),
                 commit.end());
    if (!IsHex(commit, 40)) return {};
  }
  const fs::path snapshot = folder / "snapshots" / commit;
  return fs::is_directory(snapshot) ? snapshot : fs::path();
}

fs::path ResolveModel(const std::string& argument) {
  if (!IsHubName(argument)) return argument;
  const HubRepo repo = HubRepo::Parse(argument);
  const HubSettings settings = HubSettings::FromEnvironment();
  fs::path snapshot = CachedSnapshot(settings, repo);
  if (!snapshot.empty()) return snapshot;
  Fail({.where = repo.Shown(),
        .what = "is not in the cache",
        .found = RepoFolder(settings, repo).string(),
        .mend = fmt::format("Fetch it first: nla pull {}", repo.Shown())});
}

}  // namespace nla
