// Every subcommand's Add function: declared here, defined one a file, listed in commands.cc.
#pragma once

#include <vector>

#include "cli/command.h"

namespace nla::cli {

using AddFunction = void (*)(CLI::App& root, CommonOptions& common);

// Declarations, alphabetically.

const std::vector<AddFunction>& Commands();

}  // namespace nla::cli
