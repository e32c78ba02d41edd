// Many executions of one target over mutations of its corpus, by the deterministic mutator.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "fuzz/targets_testing.h"

namespace nla {

struct Campaign {
  std::filesystem::path corpus;  // the folder with a folder a target
  uint64_t seed = 1;
  uint64_t count = 0;  // executions, those of the corpus included
  // Where the input lies while it runs, and after the process ended in it or it threw or took a minute; empty: nowhere.
  std::filesystem::path keep = {};
};

struct CampaignResult {
  uint64_t executions = 0;
  uint64_t accepted = 0;     // inputs that the target took
  std::string failure = {};  // what was thrown beside nla::Error; the campaign ends there
};

// The corpus of a target, in the order of the names.
std::vector<std::string> ReadCorpus(const std::filesystem::path& folder);

CampaignResult RunCampaign(const FuzzTarget& target, const Campaign& campaign);

}  // namespace nla
