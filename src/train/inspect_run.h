// What `nla inspect` says of recipes and of run directories.
#pragma once

#include <vector>

#include "nla/inspect.h"

namespace nla {

// For Inspect(): recipe files, and the directories that training works in.
std::vector<InspectKind> TrainingKinds();

}  // namespace nla
