// Puts an nla::Error's line together, and ends the process on a broken invariant.
#include "base/fail.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace nla {

std::string Describe(const Complaint& complaint) {
  std::string line = complaint.where;
  const auto append = [&line](std::string_view separator, std::string_view text) {
    if (text.empty()) return;
    if (!line.empty()) line += separator;
    line += text;
  };
  append(": ", complaint.what);
  std::string found_wanted;
  if (!complaint.found.empty()) found_wanted = "found " + complaint.found;
  if (!complaint.wanted.empty()) found_wanted += (found_wanted.empty() ? "wanted " : ", wanted ") + complaint.wanted;
  append(": ", found_wanted);
  if (!complaint.mend.empty()) append(". ", complaint.mend + (complaint.mend.ends_with('?') ? "" : "."));
  return line;
}

void Fail(const Complaint& complaint) { throw Error(Describe(complaint), ErrorKind::kFailed); }

void FailUsage(const Complaint& complaint) { throw Error(Describe(complaint), ErrorKind::kUsage); }

void FailErrno(const std::filesystem::path& path, std::string_view what, int reason) {
  Complaint complaint{.where = path.string(), .what = fmt::format("{}: {}", what, std::strerror(reason))};
  if (reason == ENOSPC || reason == EDQUOT) complaint.mend = "Free some space and run the command again";
  Fail(complaint);
}

void CheckFailed(const char* file, int line, const char* condition) {
  fmt::print(stderr, "nla: bug at {}:{}: {} does not hold\n", file, line, condition);
  std::abort();
}

}  // namespace nla
