// When a run should end although steps are left: signs that the pair gets better at something else than explaining.
// Works on the lines of metrics.jsonl alone, so a resumed run knows what an uninterrupted one would.
#pragma once

#include <cstdint>
#include <deque>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/fields.h"

namespace nla {

constexpr double kLeastFve = 0.05;  // a share of FVE below this says nothing

// 0 turns a rule off.
struct StopOptions {
  int64_t window = 10;          // steps that rules on steps take the mean of
  double shuffled_gap = 0.5;    // least share of the first evaluation's gap between another row's error and the own
  double retention_drop = 0.3;  // most that either retention may fall by while FVE rises
  double length_ratio = 2;      // most that the mean length may grow or shrink by
  double extraction = 0.5;      // least share of replies with both tags
  double kl = 1;                // most nats a token from the starting policy
  int64_t skipped = 3;          // steps in a row whose gradient was not finite
};

FieldList Fields(StopOptions& options);
void CheckOptions(const StopOptions& options);

// Not thread-safe.
class StopRules {
 public:
  explicit StopRules(const StopOptions& options) : options_(options) {}

  // Takes the lines of metrics.jsonl in order. The first rule that fires stays.
  void Observe(const nlohmann::ordered_json& line);
  // "RULE: what was seen", once a rule has fired.
  const std::optional<std::string>& reason() const { return reason_; }

 private:
  // What the rules on evaluations look at.
  struct Evaluation {
    double fve = 0, gap = 0;
    std::optional<double> truncated, reworded;  // share of the FVE kept
  };
  struct Step {
    double length = 0, extraction = 0;
    std::optional<double> kl;
  };

  void ObserveStep(const nlohmann::ordered_json& line);
  void ObserveEvaluation(const nlohmann::ordered_json& line);
  void CheckWindow();
  void Stop(const std::string& reason);

  StopOptions options_;
  std::optional<Evaluation> first_;
  std::deque<Step> window_;             // the last steps
  std::optional<double> first_length_;  // mean length over the first window
  int64_t skipped_ = 0;                 // in a row
  std::optional<std::string> reason_;
};

}  // namespace nla
