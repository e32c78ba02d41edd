// The first line has the key; each further one is a line of the output.
#include "client/reply_journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <span>

#include "base/fail.h"
#include "base/file.h"
#include "base/write_all.h"

namespace nla {
namespace {

using Json = nlohmann::json;

constexpr const char* kKeyField = "nla_reply_journal";

}  // namespace

ReplyJournal::ReplyJournal(std::filesystem::path output, const std::string& key, bool replace)
    : output_(std::move(output)), path_(output_.string() + ".journal") {
  fd_ = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd_ < 0) FailErrno(path_, "cannot open");
  try {
    if (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      Fail({.where = path_.string(), .what = "is being written by another process", .mend = "Wait for it to end"});
    }
    Load(key, replace);
  } catch (...) {
    close(fd_);
    throw;
  }
}

ReplyJournal::~ReplyJournal() {
  if (fd_ >= 0) close(fd_);
}

void ReplyJournal::Load(const std::string& key, bool replace) {
  const std::string text = ReadFile(path_);
  const size_t head = text.find('\n');
  const std::string beginning = fmt::format("{{\"{}\"", kKeyField);
  const size_t known = std::min(text.size(), beginning.size());
  const bool cut = head == std::string::npos && text.compare(0, known, beginning, 0, known) == 0;
  if (cut) return Begin(key);  // new, or stopped before anything was in it
  const Json first = Json::parse(text.substr(0, head), nullptr, /*allow_exceptions=*/false);
  const bool ours = first.is_object() && first.contains(kKeyField);
  if (!ours || first[kKeyField] != key) {
    if (replace && ours) return Begin(key);
    Fail({.where = path_.string(),
          .what = ours ? "keeps the replies of another run (other activations, options or server's model)"
                       : "is there and is no journal of replies",
          .mend = ours ? "Pass --replace to lose them, or name another --out" : "Name another --out"});
  }
  end_ = TakeLines(text);
  if (ftruncate(fd_, static_cast<off_t>(end_)) != 0) FailErrno(path_, "cannot cut");
}

void ReplyJournal::Begin(const std::string& key) {
  if (ftruncate(fd_, 0) != 0) FailErrno(path_, "cannot cut");
  end_ = 0;
  lines_.clear();
  Append(Json::object({{kKeyField, key}}).dump() + "\n");
}

uint64_t ReplyJournal::TakeLines(const std::string& text) {
  size_t begin = text.find('\n') + 1;
  for (size_t end = text.find('\n', begin); end != std::string::npos; end = text.find('\n', begin)) {
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || !json.contains("index") || !json["index"].is_number_integer() ||
        !json.contains("sample") || !json["sample"].is_number_integer()) {
      Fail({.where = fmt::format("{}: byte {}", path_.string(), begin),
            .what = "is no reply",
            .mend = "The file is damaged: remove it, or name another --out"});
    }
    lines_[{json["index"].get<int64_t>(), json["sample"].get<int64_t>()}] = {begin, line.size()};
    begin = end + 1;
  }
  return begin;
}

void ReplyJournal::Append(std::string_view text) {
  WriteAllAt(fd_, end_, std::as_bytes(std::span(text)), path_);
  end_ += text.size();
}

void ReplyJournal::Add(int64_t row, int64_t sample, std::string_view line) {
  NLA_CHECK(line.find('\n') == std::string_view::npos);
  const Place place{end_, line.size()};
  Append(std::string(line) + "\n");
  lines_[{row, sample}] = place;
}

void ReplyJournal::Finish() {
  AtomicFile out(output_);
  std::string line;
  for (const auto& [name, place] : lines_) {
    line.resize(place.size + 1);  // and its end
    for (size_t done = 0; done < line.size();) {
      const ssize_t got = pread(fd_, line.data() + done, line.size() - done, static_cast<off_t>(place.offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) FailErrno(path_, "cannot read", got == 0 ? ENODATA : errno);
      done += static_cast<size_t>(got);
    }
    out.Write(std::string_view(line));
  }
  out.Commit();
  if (unlink(path_.c_str()) != 0) FailErrno(path_, "cannot remove");
}

}  // namespace nla
