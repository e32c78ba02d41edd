// Downloads into blobs/, then links from the snapshot, then the ref.
#include "net/pull.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fnmatch.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/fail.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/write_all.h"

namespace nla {
namespace {

// Weights that the same repository has as safetensors too.
constexpr const char* kOtherFormats[] = {"*.bin", "*.pth", "*.pt", "*.ckpt", "*.h5", "*.msgpack"};

bool Matches(const std::string& path, const std::string& pattern) {
  return fnmatch(pattern.c_str(), path.c_str(), 0) == 0;
}

bool MatchesAny(const std::string& path, const std::vector<std::string>& patterns) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return Matches(path, pattern); });
}

// Only one process at a time fetches a file. The name and kind of lock are huggingface_hub's, so that both respect it.
class FileLock {
 public:
  explicit FileLock(const fs::path& path) {
    fs::create_directories(path.parent_path());
    fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd_ < 0) FailErrno(path, "cannot open the lock");
    while (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) FailErrno(path, "cannot lock");
      ThrowIfInterrupted();
      usleep(100'000);
    }
  }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock() { close(fd_); }

 private:
  int fd_ = -1;
};

// The unfinished file: appended to, and kept where it is when a download ends early.
class PartFile {
 public:
  explicit PartFile(fs::path path) : path_(std::move(path)) {
    fd_ = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd_ < 0) FailErrno(path_, "cannot write");
    size_ = fs::file_size(path_);
  }
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;
  ~PartFile() { close(fd_); }

  uint64_t size() const { return size_; }
  void Truncate() {
    if (ftruncate(fd_, 0) != 0) FailErrno(path_, "cannot write");
    size_ = 0;
  }
  void Append(std::span<const std::byte> bytes) {
    WriteAllAt(fd_, size_, bytes, path_);
    size_ += bytes.size();
  }
  void Flush() {
    if (fsync(fd_) != 0) FailErrno(path_, "cannot flush to disk");
  }

 private:
  fs::path path_;
  int fd_ = -1;
  uint64_t size_ = 0;
};

class Puller {
 public:
  Puller(const HubSettings& settings, const HubRepo& repo, const PullOptions& options)
      : settings_(settings), repo_(repo), client_(options.http), folder_(RepoFolder(settings, repo)) {}

  PullResult Run(const PullOptions& options) {
    const HubListing listing = ListHubFiles(client_, settings_, repo_);
    PullResult result;
    result.commit = listing.commit;
    result.snapshot = folder_ / "snapshots" / listing.commit;
    const std::vector<HubFile> files = ChooseFiles(listing.files, options, result.skipped);
    if (files.empty()) Fail({.where = repo_.Shown(), .what = "has no file that the patterns choose"});
    uint64_t total = 0;
    for (const HubFile& file : files) total += file.size;
    kilo_ = total >= 10'000'000 ? 1'000'000 : 1000;
    Progress progress("pull", kilo_ == 1000 ? "kB" : "MB", static_cast<int64_t>((total + kilo_ - 1) / kilo_));
    progress_ = &progress;
    fs::create_directories(folder_ / "blobs");
    for (const HubFile& file : files) {
      ThrowIfInterrupted();
      note_ = file.path;
      const bool cached = Fetch(file, listing.commit);
      Link(result.snapshot, file);
      done_ += file.size;
      Show(0);
      result.files.push_back({file.path, file.size, cached});
    }
    result.downloaded_bytes = downloaded_;
    WriteRef(listing.commit);
    return result;
  }

 private:
  fs::path BlobOf(const HubFile& file) const { return folder_ / "blobs" / file.hash; }

  void Show(uint64_t more) const { progress_->Update(static_cast<int64_t>((done_ + more) / kilo_), note_); }

  // Whether the file was there already.
  bool Fetch(const HubFile& file, const std::string& commit) {
    const fs::path blob = BlobOf(file);
    const FileLock lock(settings_.cache / ".locks" / folder_.filename() / (file.hash + ".lock"));
    if (fs::is_regular_file(blob) && fs::file_size(blob) == file.size) return true;
    const fs::path part_path = blob.string() + ".incomplete";
    const std::string url = HubFileUrl(settings_, repo_, commit, file.path);
    for (int round = 0; round < 2; ++round) {
      {
        PartFile part(part_path);
        if (part.size() > file.size) part.Truncate();
        if (part.size() < file.size) Download(url, file, part);
        part.Flush();
      }
      if (Sound(file, part_path)) {
        fs::rename(part_path, blob);
        return false;
      }
      fs::remove(part_path);
      spdlog::warn("{}: {}: the bytes are not those that the hub's hash speaks of; fetching it again", repo_.Shown(),
                   file.path);
    }
    Fail({.where = fmt::format("{}: {}", repo_.Shown(), file.path),
          .what = "the hash of what was fetched is wrong, twice",
          .wanted = fmt::format("{} {}", file.is_large() ? "sha256" : "git blob", file.hash),
          .mend = "Something between the hub and this machine changes files, or the hub's file is damaged"});
  }

  void Download(const std::string& url, const HubFile& file, PartFile& part) {
    const auto prepare = [&] {
      HttpRequest request{.url = url, .headers = HubHeaders(settings_)};
      // Compression would make lengths and ranges speak of other bytes.
      request.headers.emplace_back("Accept-Encoding", "identity");
      if (part.size() > 0) request.headers.emplace_back("Range", fmt::format("bytes={}-", part.size()));
      request.begins = [&, begin = part.size()](int status, const std::map<std::string, std::string>& headers) {
        const auto range = headers.find("content-range");
        const bool continues =
            status == 206 && range != headers.end() && range->second.starts_with(fmt::format("bytes {}-", begin));
        // The whole file again (ranges are not known there), or another range than asked for.
        if ((status == 200 || status == 206) && !continues && begin > 0) part.Truncate();
        if (status == 206 && !continues && begin > 0) {
          Fail({.where = url, .what = "the answer is another part of the file than asked for"});
        }
      };
      request.sink = [&](std::span<const std::byte> bytes) {
        if (part.size() + bytes.size() > file.size) {
          part.Truncate();
          Fail({.where = url, .what = "more bytes came than the file has", .wanted = std::to_string(file.size)});
        }
        part.Append(bytes);
        downloaded_ += bytes.size();
        Show(part.size());
      };
      return request;
    };
    HttpResponse response = client_.Run(prepare);
    if (response.status == 416) {  // the part at hand is of something else
      part.Truncate();
      response = client_.Run(prepare);
    }
    if (!response.ok()) FailHub(response, settings_, repo_, file.path + " cannot be fetched");
    if (part.size() != file.size) {
      Fail({.where = fmt::format("{}: {}", repo_.Shown(), file.path),
            .what = "the file came short",
            .found = fmt::format("{} bytes", part.size()),
            .wanted = std::to_string(file.size),
            .mend = "Run the command again: what was fetched is kept"});
    }
  }

  static bool Sound(const HubFile& file, const fs::path& path) {
    if (fs::file_size(path) != file.size) return false;
    return (file.is_large() ? Sha256HexOfFile(path) : GitBlobSha1HexOfFile(path)) == file.hash;
  }

  // snapshots/COMMIT/a/b -> ../../../blobs/HASH.
  void Link(const fs::path& snapshot, const HubFile& file) const {
    const fs::path link = snapshot / file.path;
    fs::create_directories(link.parent_path());
    const fs::path target = fs::relative(BlobOf(file), link.parent_path());
    std::error_code ignored;
    if (fs::is_symlink(link) && fs::read_symlink(link, ignored) == target) return;
    fs::remove(link);
    fs::create_symlink(target, link);
  }

  void WriteRef(const std::string& commit) const {
    if (repo_.revision == commit) return;
    WriteFileAtomically(folder_ / "refs" / repo_.revision, commit);
  }

  const HubSettings& settings_;
  const HubRepo& repo_;
  HttpClient client_;
  fs::path folder_;
  Progress* progress_ = nullptr;  // of Run
  uint64_t kilo_ = 1000;          // bytes in the unit shown
  uint64_t done_ = 0;             // bytes of finished files
  uint64_t downloaded_ = 0;
  std::string note_;
};

}  // namespace

std::vector<HubFile> ChooseFiles(const std::vector<HubFile>& files, const PullOptions& options,
                                 std::vector<std::string>& skipped) {
  const bool has_safetensors =
      std::any_of(files.begin(), files.end(), [](const HubFile& file) { return file.path.ends_with(".safetensors"); });
  std::vector<HubFile> chosen;
  for (const HubFile& file : files) {
    bool wanted = options.include.empty() || MatchesAny(file.path, options.include);
    wanted = wanted && !MatchesAny(file.path, options.exclude);
    if (options.include.empty() && has_safetensors) {
      wanted = wanted && std::none_of(std::begin(kOtherFormats), std::end(kOtherFormats),
                                      [&](const char* pattern) { return Matches(file.path, pattern); });
    }
    if (wanted) {
      chosen.push_back(file);
    } else {
      skipped.push_back(file.path);
    }
  }
  return chosen;
}

PullResult Pull(const HubSettings& settings, const HubRepo& repo, const PullOptions& options) {
  if (!settings.offline) return Puller(settings, repo, options).Run(options);
  PullResult result;
  result.snapshot = CachedSnapshot(settings, repo);
  if (result.snapshot.empty()) {
    Fail({.where = repo.Shown(),
          .what = "is not in the cache, and HF_HUB_OFFLINE is set",
          .found = RepoFolder(settings, repo).string(),
          .mend = "Unset HF_HUB_OFFLINE to fetch it"});
  }
  result.commit = result.snapshot.filename().string();
  for (const auto& entry : fs::recursive_directory_iterator(result.snapshot)) {
    if (!entry.is_regular_file()) continue;
    result.files.push_back({fs::relative(entry.path(), result.snapshot).string(), entry.file_size(), true});
  }
  return result;
}

}  // namespace nla
