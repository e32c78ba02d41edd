// `fuzz_campaign TARGET COUNT [SEED]`: the deterministic mutator over one target. The input that ended the process or
// threw something foreign is left as fuzz-TARGET.input in the current folder.
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>

#include "fuzz/campaign_testing.h"

int main(int argc, char** argv) {
  const nla::FuzzTarget* target = argc >= 3 ? nla::FindFuzzTarget(argv[1]) : nullptr;
  if (target == nullptr) {
    fmt::print(stderr, "usage: fuzz_campaign TARGET COUNT [SEED]; targets:");
    for (const nla::FuzzTarget& known : nla::FuzzTargets()) fmt::print(stderr, " {}", known.name);
    fmt::print(stderr, "\n");
    return 2;
  }
  nla::Campaign campaign{.corpus = NLA_SOURCE_DIR "/tests/fuzz/corpus",
                         .seed = argc >= 4 ? std::strtoull(argv[3], nullptr, 10) : 1,
                         .count = std::strtoull(argv[2], nullptr, 10),
                         .keep = fmt::format("fuzz-{}.input", target->name)};
  const auto begin = std::chrono::steady_clock::now();
  const nla::CampaignResult result = nla::RunCampaign(*target, campaign);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  fmt::print("{}: {} executions in {:.0f} s, {} accepted{}{}\n", target->name, result.executions, seconds,
             result.accepted, result.failure.empty() ? "" : "; THREW: ", result.failure);
  return result.failure.empty() ? 0 : 1;
}
