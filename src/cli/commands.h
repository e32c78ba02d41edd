// Every subcommand's Add function: declared here, defined one a file, listed in commands.cc.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace nla::cli {

using AddFunction = void (*)(CLI::App& root, CommonOptions& common);

// Declarations, alphabetically.
void AddBench(CLI::App& root, CommonOptions& common);
void AddBuild(CLI::App& root, CommonOptions& common);
void AddCard(CLI::App& root, CommonOptions& common);
void AddConvert(CLI::App& root, CommonOptions& common);
void AddExplain(CLI::App& root, CommonOptions& common);
void AddExtract(CLI::App& root, CommonOptions& common);
void AddGenerate(CLI::App& root, CommonOptions& common);
void AddInspect(CLI::App& root, CommonOptions& common);
void AddLabel(CLI::App& root, CommonOptions& common);
void AddMerge(CLI::App& root, CommonOptions& common);
void AddPair(CLI::App& root, CommonOptions& common);
void AddPrepareAr(CLI::App& root, CommonOptions& common);
void AddPull(CLI::App& root, CommonOptions& common);
void AddReconstruct(CLI::App& root, CommonOptions& common);
void AddReport(CLI::App& root, CommonOptions& common);
void AddScore(CLI::App& root, CommonOptions& common);
void AddServe(CLI::App& root, CommonOptions& common);
void AddShuffle(CLI::App& root, CommonOptions& common);
void AddShuffleActivations(CLI::App& root, CommonOptions& common);
void AddSplit(CLI::App& root, CommonOptions& common);
void AddTokenize(CLI::App& root, CommonOptions& common);
void AddTrain(CLI::App& root, CommonOptions& common);
void AddVerbalize(CLI::App& root, CommonOptions& common);

// A heading of `nla --help` and the commands under it, in the order shown.
struct CommandGroup {
  std::string title;
  std::vector<AddFunction> commands;
};

const std::vector<CommandGroup>& CommandGroups();

}  // namespace nla::cli
