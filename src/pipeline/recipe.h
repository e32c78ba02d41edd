// A recipe's sections `pipeline` and `stages`: the commands that make a pair, in order. What each costs is costs.h's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/fields.h"

namespace nla {

// The fields of `pipeline`. Each stands for its value where a stage's command has its name in braces; the sizes are
// what times are reckoned from.
struct PipelineOptions {
  std::string model;      // base model: a directory or hf:OWNER/NAME
  std::string config;     // its config.json for the reckoning while the model is not here; from the recipe's folder
  int64_t layer = -1;     // K
  std::string corpus;     // file or folder of documents
  std::string data;       // folder of the datasets
  std::string runs;       // folder of the training runs
  int64_t documents = 0;  // that activations are taken of
  int64_t tokens_per_document = 0;   // on average
  int64_t positions_per_doc = 10;    // activations of a document
  int64_t explanation_tokens = 100;  // on average
  int64_t seed = 0;
};
FieldList Fields(PipelineOptions& options);

// The assignments of --set ("train_av.lr=1e-4") that belong to a section.
std::vector<std::string> AssignmentsOf(const std::string& section, const std::vector<std::string>& assignments);

struct Stage {
  std::string name;
  std::vector<std::string> words;  // of the command line, without the program
  std::string training;            // the recipe's section when the stage is one of its trainings, else empty
};

struct PipelineRecipe {
  std::filesystem::path file;
  PipelineOptions options;
  std::vector<Stage> stages;  // at least one, of different names

  // The index of the stage of that name; a usage error names the nearest.
  size_t IndexOf(const std::string& stage, const std::string& option) const;
};

// Reads the recipe. `assignments` are those of --set, of any section: those of a training go on to its command.
//   stages:
//     - split: split --input {data}/base.parquet --out-dir {data}
//     - train_av
// A name alone is a training, `nla train av RECIPE --resume`. Errors name the line.
PipelineRecipe ReadPipelineRecipe(const std::filesystem::path& file, const std::vector<std::string>& assignments);

}  // namespace nla
