// One line of JSON among what the program prints.
#include "cli/bench_llama.h"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/fail.h"
#include "base/subprocess.h"

namespace nla::cli {

void AddLlamaCppOptions(Command command, LlamaCppArguments& arguments) {
  command.AddOption("--llama-cpp", arguments.program,
                    "llama.cpp's llama-batched-bench as a peer (tools/llama_cpp.sh builds it); with --gguf");
  command.AddOption("--gguf", arguments.files, "files of the same model for it (`nla convert`)").OneValueEach();
}

void CheckLlamaCpp(const LlamaCppArguments& arguments) {
  if (arguments.program.empty() == arguments.files.empty()) return;
  FailUsage({.where = "--llama-cpp and --gguf", .what = "belong together", .mend = "Give both, or neither"});
}

LlamaCppSpeed RunLlamaCpp(const std::string& program, const std::string& gguf, const LlamaCppLoad& load) {
  const auto text = [](int64_t number) { return std::to_string(number); };
  // A sequence's rows and one more page, since it counts its batches generously.
  const int64_t context = (load.prompt_tokens + load.tokens + 16) * load.batch;
  const ProcessResult run = RunProcess({program,
                                        "-m",
                                        gguf,
                                        "-c",
                                        text(context),
                                        "-b",
                                        "2048",
                                        "-ub",
                                        "512",
                                        "-npp",
                                        text(load.prompt_tokens),
                                        "-ntg",
                                        text(load.tokens),
                                        "-npl",
                                        text(load.batch),
                                        "-t",
                                        text(load.threads),
                                        "-tb",
                                        text(load.threads),
                                        "--output-format",
                                        "jsonl"});
  std::istringstream lines(run.output);
  for (std::string line; run.exit_code == 0 && std::getline(lines, line);) {
    const nlohmann::json row = nlohmann::json::parse(line, nullptr, false);
    if (!row.is_object() || !row.contains("speed_pp") || !row.contains("speed_tg") || !row.contains("t")) continue;
    return {row["speed_pp"].get<double>(), row["speed_tg"].get<double>(), row["t"].get<double>()};
  }
  Fail({.where = program,
        .what = "gave no speeds for " + gguf,
        .found = fmt::format("exit code {}", run.exit_code),
        .mend = "tools/llama_cpp.sh builds the program that is wanted"});
}

std::string LlamaCppName(const std::string& gguf) {
  return "llama.cpp, " + std::filesystem::path(gguf).filename().string();
}

}  // namespace nla::cli
