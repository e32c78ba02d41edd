// What writes explanations for the label stage: one interface, and the table of those there are.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/dataset_sidecar.h"
#include "datagen/providers/context.h"

namespace nla {

// An explanation (features joined by a blank line), or why there is none.
struct LabelReply {
  std::optional<std::string> explanation;
  std::string drop_reason;  // set when there is no explanation; a fixed phrase, so that rows can be counted by it
};

class LabelProvider {
 public:
  virtual ~LabelProvider() = default;
  // One reply a text, in the same order. Throws only when no further text could be labelled either.
  virtual std::vector<LabelReply> Label(std::span<const std::string> texts) = 0;
  // What the sidecar says about the explanations. Equal facts mean equal work: a run resumes only under the same.
  virtual ApiSummaries Facts() const = 0;
};

struct ProviderOptions {
  ContextOptions context = {};
  // Directory of the base model, whose tokenizer then counts the tokens of explanations; empty: they are estimated.
  std::filesystem::path model_dir = {};
};

const std::vector<std::string>& ProviderNames();
// A usage error for a name that is not in the table.
std::unique_ptr<LabelProvider> MakeProvider(const std::string& name, const ProviderOptions& options);

}  // namespace nla
