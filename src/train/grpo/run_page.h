// A reinforcement-learning run as one self-contained page: curves of its metrics, and some of its replies.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>

namespace nla {

struct RunPageInput {
  std::string title;                                 // the run directory
  std::string state;                                 // how far it is, or why it ended
  std::span<const nlohmann::ordered_json> metrics;   // lines of metrics.jsonl
  std::span<const nlohmann::ordered_json> rollouts;  // lines of rollouts.jsonl; the last step's are shown
};

std::string RunPage(const RunPageInput& input);

}  // namespace nla
