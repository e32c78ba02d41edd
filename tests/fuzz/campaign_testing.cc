#include "fuzz/campaign_testing.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <exception>

#include "base/fail.h"
#include "base/file.h"
#include "fuzz/mutator_testing.h"

namespace nla {
namespace {

// Inputs that were accepted are changed further; old ones make room.
constexpr size_t kPool = 256;

// The input being run, on disk: what is left there when the process ends is what ended it.
class InFlight {
 public:
  explicit InFlight(const std::filesystem::path& path)
      : path_(path), fd_(path.empty() ? -1 : open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
    NLA_CHECK(path.empty() || fd_ >= 0);
  }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;
  ~InFlight() {
    if (fd_ >= 0) close(fd_);
  }
  void Set(const std::string& input) const {
    if (fd_ < 0) return;
    NLA_CHECK(pwrite(fd_, input.data(), input.size(), 0) == static_cast<ssize_t>(input.size()));
    NLA_CHECK(ftruncate(fd_, static_cast<off_t>(input.size())) == 0);
    alarm(kMostSeconds);
  }
  void Done() const {
    alarm(0);
    std::filesystem::remove(path_);
  }

 private:
  static constexpr unsigned kMostSeconds = 60;  // SIGALRM ends a run that hangs
  std::filesystem::path path_;
  int fd_;
};

}  // namespace

std::vector<std::string> ReadCorpus(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> inputs;
  for (const auto& path : paths) inputs.push_back(ReadFile(path));
  return inputs;
}

CampaignResult RunCampaign(const FuzzTarget& target, const Campaign& campaign) {
  std::vector<std::string> pool = ReadCorpus(campaign.corpus / target.name);
  const size_t seeds = pool.size();
  Mutator mutator(campaign.seed, target.dictionary);
  const InFlight in_flight(campaign.keep);
  CampaignResult result;
  for (; result.executions < campaign.count; ++result.executions) {
    const uint64_t number = result.executions;
    std::string input = number < seeds
                            ? pool[number]
                            : mutator.Mutate(pool[mutator.Below(pool.size())], pool[mutator.Below(pool.size())]);
    in_flight.Set(input);
    try {
      if (RunFuzzTarget(target, input) == FuzzVerdict::kRefused) continue;
    } catch (const std::exception& error) {
      result.failure = error.what();
      return result;
    }
    ++result.accepted;
    if (number < seeds) continue;
    if (pool.size() < seeds + kPool) {
      pool.push_back(std::move(input));
    } else {
      pool[seeds + mutator.Below(kPool)] = std::move(input);
    }
  }
  if (!campaign.keep.empty()) in_flight.Done();
  return result;
}

}  // namespace nla
