// What the benchmarks of `nla bench` share: running a peer, medians, and how rows are shown.
#pragma once

#include <string>
#include <vector>

#include "cli/commands.h"

namespace nla::cli {

struct BenchRow {
  std::string name;
  double ours = 0;
  double peer = 0;
  std::string peer_name;
  std::string unit;
};

// Threads that both sides of a comparison work with: --threads, or all cores.
int BenchThreads(const CommonOptions& common);

double Median(std::vector<double> values);

// --rounds, --python and --peers, which every comparison with a Python script has.
void AddPeerOptions(Command command, int64_t& rounds, std::string& python, std::string& peers);

// The JSON document that a command prints, which must succeed, and what the process took.
struct BenchRun {
  nlohmann::ordered_json document;
  double peak_rss_mb = 0;
  double seconds = 0;  // from the start of the process to its end
};
BenchRun RunBenchCommand(const std::vector<std::string>& command);
// A number of the document; a missing one is the command's failure.
double BenchNumber(const BenchRun& run, const std::string& key);

// Rows with their ratios (ours by the peer's: more is better for rates, less for times and memory), as a table or, with
// --json, as one document beside the machine and `facts`.
void PrintBenchRows(const std::vector<BenchRow>& rows, const CommonOptions& common,
                    const nlohmann::ordered_json& facts);

}  // namespace nla::cli
