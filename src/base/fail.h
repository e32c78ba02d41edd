// Raises nla::Error with one clear line (where, what, found, wanted, mend), and checks for bugs in our own code.
#pragma once

#include <cerrno>
#include <filesystem>
#include <string>
#include <string_view>

#include "nla/error.h"

namespace nla {

// Empty fields are left out of the line: "WHERE: WHAT: found FOUND, wanted WANTED. MEND".
struct Complaint {
  std::string where = {};   // file, or file and field ("config.json: hidden_size"), or option ("--layer")
  std::string what = {};    // what is wrong, lower case, no full stop
  std::string found = {};   // the offending value
  std::string wanted = {};  // what would have been accepted
  std::string mend = {};    // what to do, a sentence; its full stop is added
};

std::string Describe(const Complaint& complaint);

[[noreturn]] void Fail(const Complaint& complaint);       // ErrorKind::kFailed
[[noreturn]] void FailUsage(const Complaint& complaint);  // ErrorKind::kUsage

// For a system call that failed: names the path, what could not be done, and the reason, an errno value.
[[noreturn]] void FailErrno(const std::filesystem::path& path, std::string_view what, int reason = errno);

[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);

}  // namespace nla

// A bug in this project when it fires (not the user's doing): prints the place and aborts.
#define NLA_CHECK(condition)                              \
  do {                                                    \
    if (!(condition)) [[unlikely]]                        \
      ::nla::CheckFailed(__FILE__, __LINE__, #condition); \
  } while (false)
