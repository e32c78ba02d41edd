// `nla pull`: a repository of the model hub into the cache.
#include "net/pull.h"

#include <fmt/format.h>

#include <memory>

#include "cli/commands.h"

namespace nla::cli {
namespace {

struct PullArguments {
  std::string repo;
  PullOptions pull;
};

void Run(const PullArguments& options, const CommonOptions& common) {
  const HubRepo repo = HubRepo::Parse(options.repo);
  const PullResult result = Pull(HubSettings::FromEnvironment(), repo, options.pull);
  if (common.json) {
    nlohmann::ordered_json files = nlohmann::ordered_json::array();
    for (const PulledFile& file : result.files) {
      files.push_back({{"path", file.path}, {"size", file.size}, {"cached", file.cached}});
    }
    PrintJson({{"repo", repo.name},
               {"revision", repo.revision},
               {"commit", result.commit},
               {"path", result.snapshot.string()},
               {"downloaded_bytes", result.downloaded_bytes},
               {"files", files},
               {"skipped", result.skipped}});
    return;
  }
  fmt::print("{}: {} files, {:.1f} MB fetched; use {} or\n{}\n", repo.Shown(), result.files.size(),
             static_cast<double>(result.downloaded_bytes) * 1e-6, repo.Shown(), result.snapshot.string());
}

}  // namespace

void AddPull(Command root, CommonOptions& common) {
  auto options = std::make_shared<PullArguments>();
  Command command = AddCommand(root, common, "pull", "Fetch a model from the hub into the cache of huggingface_hub",
                               "nla pull hf:OWNER/NAME --include \"*.safetensors\" --include \"*.json\"");
  command.AddOption("REPO", options->repo, "hf:OWNER/NAME or hf:OWNER/NAME@REVISION").Required();
  command.AddOption("--include", options->pull.include, "only files that match; * also takes /; may be repeated")
      .TypeName("PATTERN")
      .OneValueEach();
  command.AddOption("--exclude", options->pull.exclude, "no files that match; may be repeated")
      .TypeName("PATTERN")
      .OneValueEach();
  command.OnRun([options, &common] { Run(*options, common); });
}

}  // namespace nla::cli
