// The program: runs the command line, and turns every failure into one clear line and an exit code.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"
#include "cli/program.h"
#include "nla/error.h"
#include "train/collectives/communicator.h"

namespace nla::cli {
namespace {

int Report(std::string_view message, ErrorKind kind, bool json) {
  // Not fmt::print, which throws where stderr cannot be written.
  std::fputs(fmt::format("nla: {}\n", message).c_str(), stderr);
  if (json) {
    PrintJson({{"error",
                {{"kind", kind == ErrorKind::kUsage ? "usage" : "failed"},
                 {"message", message},
                 {"exit_code", static_cast<int>(kind)}}}});
  }
  return static_cast<int>(kind);
}

// The first line of what a library threw: libtorch appends a stack trace to its messages.
std::string_view FirstLine(std::string_view text) { return text.substr(0, text.find('\n')); }

int RunCommand(const std::vector<std::string>& arguments) {
  CommonOptions common;
  // Also a command line that does not parse must be answered in the form that it asks for.
  const bool json = std::find(arguments.begin(), arguments.end(), "--json") != arguments.end();
  try {
    ParseAndRun(arguments, common);
    return common.exit_code;
  } catch (const Error& error) {
    return Report(error.what(), error.kind(), json);
  } catch (const std::bad_alloc&) {
    return Report("out of memory. Use a smaller batch, or a machine with more", ErrorKind::kFailed, json);
  } catch (const std::exception& error) {
    return Report(FirstLine(error.what()), ErrorKind::kFailed, json);
  }
}

int Main(const std::vector<std::string>& arguments) {
  const int exit_code = RunCommand(arguments);
  // The processes that train beside this one would wait for it.
  if (exit_code != 0 && JoinedOrNull() != nullptr) JoinedOrNull()->Abort(exit_code);
  LeaveProcesses();
  return exit_code;
}

}  // namespace
}  // namespace nla::cli

int main(int argc, char** argv) { return nla::cli::Main(std::vector<std::string>(argv + 1, argv + argc)); }
