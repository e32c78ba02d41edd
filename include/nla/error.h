// The one exception of the library: an operation cannot go on, and the message tells the user what, where and the mend.
#pragma once

#include <stdexcept>
#include <string>

namespace nla {

// What went wrong in kind; the value is the program's exit code.
enum class ErrorKind {
  kFailed = 1,  // bad file, bad data, remote error
  kUsage = 2,   // wrong arguments, unknown recipe key
};

class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, ErrorKind kind = ErrorKind::kFailed)
      : std::runtime_error(message), kind_(kind) {}

  ErrorKind kind() const { return kind_; }
  int exit_code() const { return static_cast<int>(kind_); }

 private:
  ErrorKind kind_;
};

}  // namespace nla
