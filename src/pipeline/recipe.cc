// Reading of the stages and filling in of their commands.
#include "pipeline/recipe.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <sstream>

#include "base/fail.h"
#include "base/file.h"
#include "train/options.h"

namespace nla {
namespace {

constexpr uint64_t kLargestRecipe = uint64_t{1} << 26;
constexpr const char* kSection = "pipeline";
// Sections of the recipe that `nla train` runs, by its subcommand.
constexpr std::array<std::pair<const char*, const char*>, 3> kTrainings = {
    {{"train_ar", "ar"}, {"train_av", "av"}, {"train_rl", "rl"}}};

// "{data}/base.parquet" with the fields' values in it.
std::string Filled(const std::string& word, const FieldList& fields, const std::string& where) {
  std::string filled;
  for (size_t begin = 0; begin < word.size();) {
    const size_t open = word.find('{', begin);
    filled += word.substr(begin, open - begin);
    if (open == std::string::npos) break;
    const size_t close = word.find('}', open);
    const std::string name = word.substr(open + 1, close == std::string::npos ? close : close - open - 1);
    const auto field = std::find_if(fields.begin(), fields.end(), [&](const Field& f) { return f.name == name; });
    if (close == std::string::npos || field == fields.end()) {
      std::vector<std::string> known;
      for (const Field& each : fields) known.push_back(each.name);
      const std::string nearest = NearestName(known, name);
      FailUsage({.where = where,
                 .what = fmt::format("\"{{{}\" is not a field of {}", word.substr(open + 1, close - open), kSection),
                 .mend = nearest.empty() ? "Known fields: " + fmt::format("{}", fmt::join(known, ", "))
                                         : fmt::format("Did you mean \"{{{}}}\"?", nearest)});
    }
    filled += ValueText(*field);
    begin = close + 1;
  }
  return filled;
}

std::vector<std::string> WordsOf(const std::string& command, const FieldList& fields, const std::string& where) {
  std::istringstream stream(command);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(Filled(word, fields, where));
  if (!words.empty() && words[0] == "nla") words.erase(words.begin());
  if (words.empty()) FailUsage({.where = where, .what = "a stage without a command"});
  return words;
}

Stage Training(const std::string& section, const std::filesystem::path& recipe,
               const std::vector<std::string>& assignments, const std::string& where) {
  for (const auto& [name, role] : kTrainings) {
    if (section != name) continue;
    Stage stage{.name = section, .words = {"train", role, recipe.string(), "--resume"}, .training = section};
    for (const std::string& assignment : AssignmentsOf(section, assignments)) {
      stage.words.insert(stage.words.end(), {"--set", assignment});
    }
    return stage;
  }
  FailUsage({.where = where,
             .found = fmt::format("\"{}\"", section),
             .wanted = "train_ar, train_av or train_rl, or NAME: COMMAND"});
}

// An assignment of no section that the recipe may have is a usage error.
void CheckSections(const std::vector<std::string>& assignments) {
  for (const std::string& assignment : assignments) {
    const std::string section = assignment.substr(0, assignment.find('.'));
    const bool training =
        std::any_of(kTrainings.begin(), kTrainings.end(), [&](const auto& each) { return section == each.first; });
    if (section != kSection && !training) {
      FailUsage({.where = "--set",
                 .found = fmt::format("\"{}\"", assignment),
                 .wanted = "pipeline.KEY=VALUE, or the same of train_ar, train_av or train_rl"});
    }
  }
}

YAML::Node StagesOf(const std::filesystem::path& file) {
  const YAML::Node node = YAML::Load(ReadFile(file, kLargestRecipe));  // LoadRecipe has read it: it is YAML
  const YAML::Node stages = node["stages"];
  if (stages && stages.IsSequence() && stages.size() > 0) return stages;
  FailUsage({.where = file.string() + ": stages",
             .found = stages ? "something else" : "nothing",
             .wanted = "a list of stages",
             .mend = "recipes/demo.yaml shows one"});
}

}  // namespace

FieldList Fields(PipelineOptions& o) {
  return {{"model", &o.model, "base model: a checkpoint directory or hf:OWNER/NAME"},
          {"config", &o.config, "its config.json for --dry-run while the model is not here, from the recipe's folder"},
          {"layer", &o.layer, "block K whose output the vectors are"},
          {"corpus", &o.corpus, "documents: a file or a folder"},
          {"data", &o.data, "folder of the datasets"},
          {"runs", &o.runs, "folder of the training runs"},
          {"documents", &o.documents, "documents that activations are taken of"},
          {"tokens_per_document", &o.tokens_per_document, "on average, for the estimates"},
          {"positions_per_doc", &o.positions_per_doc, "activations of a document"},
          {"explanation_tokens", &o.explanation_tokens, "on average, for the estimates"},
          {"seed", &o.seed, "seed of the stages that name it"}};
}

std::vector<std::string> AssignmentsOf(const std::string& section, const std::vector<std::string>& assignments) {
  std::vector<std::string> own;
  std::copy_if(assignments.begin(), assignments.end(), std::back_inserter(own),
               [&](const std::string& assignment) { return assignment.starts_with(section + "."); });
  return own;
}

size_t PipelineRecipe::IndexOf(const std::string& stage, const std::string& option) const {
  std::vector<std::string> names;
  for (const Stage& each : stages) names.push_back(each.name);
  const auto found = std::find(names.begin(), names.end(), stage);
  if (found != names.end()) return static_cast<size_t>(found - names.begin());
  const std::string nearest = NearestName(names, stage);
  FailUsage({.where = option,
             .what = fmt::format("{} has no stage \"{}\"", file.string(), stage),
             .mend = nearest.empty() ? fmt::format("Its stages: {}", fmt::join(names, ", "))
                                     : fmt::format("Did you mean \"{}\"?", nearest)});
}

PipelineRecipe ReadPipelineRecipe(const std::filesystem::path& file, const std::vector<std::string>& assignments) {
  PipelineRecipe recipe{.file = file, .options = {}, .stages = {}};
  const FieldList fields = Fields(recipe.options);
  CheckSections(assignments);
  LoadRecipe(fields, file.string(), kSection, AssignmentsOf(kSection, assignments));
  for (const YAML::Node& node : StagesOf(file)) {
    const std::string where = fmt::format("{}:{}", file.string(), node.Mark().line + 1);
    if (node.IsScalar()) {
      recipe.stages.push_back(Training(node.Scalar(), file, assignments, where));
    } else if (node.IsMap() && node.size() == 1 && node.begin()->second.IsScalar()) {
      const std::string name = node.begin()->first.Scalar();
      recipe.stages.push_back(
          {name, WordsOf(node.begin()->second.Scalar(), fields, fmt::format("{}: {}", where, name)), ""});
    } else {
      FailUsage({.where = where, .found = "another form", .wanted = "NAME: COMMAND, or the name of a training"});
    }
    const std::string& name = recipe.stages.back().name;
    const auto same = [&](const Stage& stage) { return stage.name == name; };
    if (std::count_if(recipe.stages.begin(), recipe.stages.end(), same) > 1) {
      FailUsage({.where = where, .what = fmt::format("there is a stage \"{}\" before", name)});
    }
  }
  return recipe;
}

}  // namespace nla
