// Logging to stderr (stdout belongs to results). Levels: debug, info, warn, error, off.
#pragma once

#include <spdlog/spdlog.h>

#include <string>

namespace nla {

void SetUpLogging(const std::string& level);  // throws a usage Error on an unknown level
bool ProgressWanted();                        // false at level warn and above

}  // namespace nla
