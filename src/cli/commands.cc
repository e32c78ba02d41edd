// The table of subcommands, in the order in which --help lists them.
#include "cli/commands.h"

namespace nla::cli {

const std::vector<CommandGroup>& CommandGroups() {
  static const std::vector<CommandGroup> groups = {
      {"Explain activations",
       {
           AddExplain,
           AddVerbalize,
           AddReconstruct,
           AddScore,
           AddReport,
           AddServe,
       }},
      {"Make data",
       {
           AddExtract,
           AddSplit,
           AddLabel,
           AddBuild,
           AddShuffle,
           AddShuffleActivations,
       }},
      {"Train",
       {
           AddPrepareAr,
           AddTrain,
           AddPipeline,
           AddPair,
           AddMerge,
           AddCard,
       }},
      {"Look at files and models",
       {
           AddInspect,
           AddPull,
           AddConvert,
           AddTokenize,
           AddGenerate,
           AddBench,
       }},
  };
  return groups;
}

}  // namespace nla::cli
