// Every subcommand's Add function: declared here, defined one a file, listed in commands.cc.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace nla::cli {

using AddFunction = void (*)(Command root, CommonOptions& common);

// Declarations, alphabetically.
void AddBench(Command root, CommonOptions& common);
void AddBuild(Command root, CommonOptions& common);
void AddCard(Command root, CommonOptions& common);
void AddConvert(Command root, CommonOptions& common);
void AddExplain(Command root, CommonOptions& common);
void AddExtract(Command root, CommonOptions& common);
void AddGenerate(Command root, CommonOptions& common);
void AddInspect(Command root, CommonOptions& common);
void AddLabel(Command root, CommonOptions& common);
void AddMerge(Command root, CommonOptions& common);
void AddPair(Command root, CommonOptions& common);
void AddPrepareAr(Command root, CommonOptions& common);
void AddPull(Command root, CommonOptions& common);
void AddReconstruct(Command root, CommonOptions& common);
void AddReport(Command root, CommonOptions& common);
void AddScore(Command root, CommonOptions& common);
void AddServe(Command root, CommonOptions& common);
void AddShuffle(Command root, CommonOptions& common);
void AddShuffleActivations(Command root, CommonOptions& common);
void AddSplit(Command root, CommonOptions& common);
void AddTokenize(Command root, CommonOptions& common);
void AddTrain(Command root, CommonOptions& common);
void AddPipeline(Command root, CommonOptions& common);
void AddVerbalize(Command root, CommonOptions& common);

// A heading of `nla --help` and the commands under it, in the order shown.
struct CommandGroup {
  std::string title;
  std::vector<AddFunction> commands;
};

const std::vector<CommandGroup>& CommandGroups();

}  // namespace nla::cli
