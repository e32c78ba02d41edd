// `nla card`: a model card for a pair or one side of it.
#include "nla/card.h"

#include <fmt/format.h>

#include <memory>

#include "base/fail.h"
#include "base/file.h"
#include "cli/commands.h"

namespace nla::cli {
namespace {

struct CardArguments {
  std::string directory, report;
  CardOptions card;
  bool replace = false;
};

void Run(CardArguments options, const CommonOptions& common) {
  if (!options.report.empty()) {
    options.card.report = nlohmann::json::parse(ReadFile(options.report, 1 << 24), nullptr, /*allow_exceptions=*/false);
    if (!options.card.report->is_object()) {
      Fail({.where = options.report, .what = "is not a report", .wanted = "what `nla report --json` printed"});
    }
  }
  nlohmann::ordered_json written = nlohmann::ordered_json::array();
  for (const fs::path& path : WriteModelCards(options.directory, options.card, options.replace)) {
    written.push_back(path.string());
    if (!common.json) fmt::print("{}\n", path.string());
  }
  if (common.json) PrintJson({{"written", written}});
}

}  // namespace

void AddCard(Command root, CommonOptions& common) {
  auto options = std::make_shared<CardArguments>();
  Command command = AddCommand(root, common, "card", "Write the model card (README.md) of a pair or of one side",
                               "nla card merged --report demo/report.json --license apache-2.0 --repo OWNER/NAME");
  command.AddOption("DIR", options->directory, "pair directory, or one side's directory").Required();
  command.AddOption("--report", options->report, "figures: the output of `nla report --json` on this pair");
  command.AddOption("--license", options->card.license, "licence, by the hub's name of it");
  command.AddOption("--repo", options->card.repo, "OWNER/NAME that it will be published as");
  command.AddOption("--base-model", options->card.base_model, "the base model's name on the hub");
  command.AddFlag("--replace", options->replace, "lose a README.md that is there");
  command.OnRun([options, &common] { Run(*options, common); });
}

}  // namespace nla::cli
