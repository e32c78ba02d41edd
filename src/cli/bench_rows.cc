// Commands are run one at a time; what they print beside their document goes to the terminal.
#include "cli/bench_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "base/fail.h"
#include "base/file.h"
#include "base/subprocess.h"

namespace nla::cli {
namespace {

using nlohmann::ordered_json;

std::string ProcessorName() {
  const std::string info = ReadFile("/proc/cpuinfo");
  const size_t at = info.find("model name");
  if (at == std::string::npos) return "unknown processor";
  const size_t begin = info.find(':', at) + 2;
  return info.substr(begin, info.find('\n', begin) - begin);
}

}  // namespace

int BenchThreads(const CommonOptions& common) {
  return common.threads > 0 ? common.threads : static_cast<int>(std::thread::hardware_concurrency());
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

void AddPeerOptions(Command command, int64_t& rounds, std::string& python, std::string& peers) {
  command.AddOption("--rounds", rounds, "times each side runs, in turns").ShowDefault().Positive();
  command.AddOption("--python", python, "interpreter with the peer's packages").ShowDefault();
  command.AddOption("--peers", peers, "folder of the peer scripts").ShowDefault();
}

BenchRun RunBenchCommand(const std::vector<std::string>& command) {
  const ProcessResult result = RunProcess(command);
  ordered_json document = ordered_json::parse(result.output, nullptr, false);
  if (result.exit_code != 0 || !document.is_object()) {
    Fail({.where = command[0],
          .what = "the benchmark's command failed",
          .found = fmt::format("exit code {}, output {}", result.exit_code, result.output.substr(0, 200))});
  }
  return {std::move(document), result.peak_rss_mb, result.seconds};
}

double BenchNumber(const BenchRun& run, const std::string& key) {
  if (!run.document.contains(key) || !run.document[key].is_number()) {
    Fail({.where = "the benchmark's command", .what = "number missing in its output", .wanted = key});
  }
  return run.document[key].get<double>();
}

void PrintBenchRows(const std::vector<BenchRow>& rows, const CommonOptions& common, const ordered_json& facts) {
  if (!common.json) {
    for (const BenchRow& row : rows) {
      fmt::print("{:<32} {:>10.1f} {:<10} peer {:>10.1f}  ratio {:.2f}  ({})\n", row.name, row.ours, row.unit, row.peer,
                 row.ours / row.peer, row.peer_name);
    }
    return;
  }
  ordered_json list = ordered_json::array();
  for (const BenchRow& row : rows) {
    list.push_back({{"name", row.name},
                    {"ours", row.ours},
                    {"peer", row.peer},
                    {"peer_name", row.peer_name},
                    {"unit", row.unit},
                    {"ratio", row.ours / row.peer}});
  }
  ordered_json document = {{"rows", list}};
  document.update(facts);
  document["machine"] = {{"processor", ProcessorName()}, {"cores", std::thread::hardware_concurrency()}};
  PrintJson(document);
}

}  // namespace nla::cli
