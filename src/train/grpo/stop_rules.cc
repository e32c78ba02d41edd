// One function for each kind of line.
#include "train/grpo/stop_rules.h"

#include <fmt/format.h>

#include "base/fail.h"

namespace nla {
namespace {

// A pair whose words carried less than this at the start has nothing to lose.
constexpr double kLeastGap = 0.02;

// JSON writes what is not finite as null.
std::optional<double> Number(const nlohmann::ordered_json& line, const char* name) {
  const auto found = line.find(name);
  if (found == line.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

}  // namespace

FieldList Fields(StopOptions& o) {
  return {
      {"window", &o.window, "steps that the rules on steps take the mean of"},
      {"shuffled_gap", &o.shuffled_gap,
       "least share of the starting gap between another row's error and the own; 0 = off"},
      {"retention_drop", &o.retention_drop,
       "most that the share of FVE kept by three quarters of the words, or by synonyms, may fall by while FVE rises; "
       "0 = off"},
      {"length_ratio", &o.length_ratio, "most that the mean length may grow or shrink by; 0 = off"},
      {"extraction", &o.extraction, "least share of replies with both tags; 0 = off"},
      {"kl", &o.kl, "most nats a token from the starting policy; 0 = off"},
      {"skipped", &o.skipped, "steps in a row whose gradient was not finite; 0 = off"}};
}

void CheckOptions(const StopOptions& o) {
  CheckField("stop.window", o.window >= 1, o.window, "1 or more");
  CheckField("stop.shuffled_gap", o.shuffled_gap >= 0, o.shuffled_gap, "0 or more");
  CheckField("stop.retention_drop", o.retention_drop >= 0, o.retention_drop, "0 or more");
  CheckField("stop.length_ratio", o.length_ratio == 0 || o.length_ratio > 1, o.length_ratio, "0, or a number above 1");
  CheckField("stop.extraction", o.extraction >= 0 && o.extraction <= 1, o.extraction, "a number in [0, 1]");
  CheckField("stop.kl", o.kl >= 0, o.kl, "0 or more");
  CheckField("stop.skipped", o.skipped >= 0, o.skipped, "0 or more");
}

void StopRules::Stop(const std::string& reason) {
  if (!reason_) reason_ = reason;
}

void StopRules::Observe(const nlohmann::ordered_json& line) {
  const std::string kind = line.value("kind", "");
  if (kind == "step") ObserveStep(line);
  if (kind == "eval") ObserveEvaluation(line);
}

void StopRules::ObserveStep(const nlohmann::ordered_json& line) {
  const bool skipped = line.value("av_skipped", false) || line.value("ar_skipped", false);
  skipped_ = skipped ? skipped_ + 1 : 0;
  if (options_.skipped > 0 && skipped_ >= options_.skipped) {
    Stop(fmt::format("skipped: the gradient was not finite in {} steps in a row", skipped_));
  }
  window_.push_back({.length = Number(line, "tokens_mean").value_or(0),
                     .extraction = Number(line, "extraction_rate").value_or(0),
                     .kl = Number(line, "kl")});
  if (static_cast<int64_t>(window_.size()) > options_.window) window_.pop_front();
  if (static_cast<int64_t>(window_.size()) == options_.window) CheckWindow();
}

void StopRules::CheckWindow() {
  const auto count = static_cast<double>(window_.size());
  double length = 0;
  double extraction = 0;
  double kl = 0;
  for (const Step& step : window_) {
    length += step.length / count;
    extraction += step.extraction / count;
    kl += step.kl.value_or(0) / count;
  }
  if (!first_length_) first_length_ = length;
  const double ratio = options_.length_ratio;
  if (ratio > 0 && (length > ratio * *first_length_ || length * ratio < *first_length_)) {
    Stop(fmt::format("length: replies have {:.1f} tokens in the mean of {} steps, {:.1f} at the start", length,
                     window_.size(), *first_length_));
  }
  if (extraction < options_.extraction) {
    Stop(fmt::format("extraction: {:.3f} of the replies have both tags in the mean of {} steps", extraction,
                     window_.size()));
  }
  if (options_.kl > 0 && kl > options_.kl) {
    Stop(fmt::format("kl: {:.3f} nats a token from the starting policy in the mean of {} steps", kl, window_.size()));
  }
}

void StopRules::ObserveEvaluation(const nlohmann::ordered_json& line) {
  const std::optional<double> fve = Number(line, "fve_raw_variance");
  const std::optional<double> gap = Number(line, "shuffled_gap");
  if (!fve || !gap) return;
  const Evaluation now{.fve = *fve,
                       .gap = *gap,
                       .truncated = Number(line, "truncation_retention"),
                       .reworded = Number(line, "paraphrase_retention")};
  if (!first_) {
    first_ = now;
    return;
  }
  if (options_.shuffled_gap > 0 && first_->gap > kLeastGap && now.gap < options_.shuffled_gap * first_->gap) {
    Stop(
        fmt::format("shuffled: another row's explanation costs {:.4f} in mse, {:.4f} at the start: the words say less "
                    "of their vector",
                    now.gap, first_->gap));
  }
  const bool rising = first_->fve > kLeastFve && now.fve > first_->fve;
  const auto check_retention = [&](const char* what, std::optional<double> before, std::optional<double> after) {
    if (!before || !after || *after >= *before - options_.retention_drop) return;
    Stop(fmt::format("retention: {} {:.2f} of the FVE, {:.2f} at the start, while FVE rises: the words become a code",
                     what, *after, *before));
  };
  if (options_.retention_drop > 0 && rising) {
    check_retention("three quarters of the words keep", first_->truncated, now.truncated);
    check_retention("synonyms keep", first_->reworded, now.reworded);
  }
}

}  // namespace nla
