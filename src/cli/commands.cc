// The table of subcommands, in the order in which --help lists them.
#include "cli/commands.h"

namespace nla::cli {

const std::vector<AddFunction>& Commands() {
  static const std::vector<AddFunction> commands = {
      // The main job.
      // Data.
      // Training.
      // Files and models.
  };
  return commands;
}

}  // namespace nla::cli
