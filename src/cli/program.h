// The program's command line as a whole.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace nla::cli {

// Parses the words after the program's name into `common` and runs their command, or shows the help that they ask for.
// Words that are no command line of the program are a usage error that names them and the nearest known word.
void ParseAndRun(const std::vector<std::string>& words, CommonOptions& common);

// The same usage errors, but nothing runs and no model is looked up.
void CheckCommandLine(std::vector<std::string> words);

}  // namespace nla::cli
