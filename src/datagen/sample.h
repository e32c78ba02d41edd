// A corpus sampled from a chat model over a list of prompts, so that its own kind of prose is in the training data.
#pragma once

#include <cstdint>
#include <filesystem>

#include "model/language_model.h"
#include "model/sampler.h"

namespace nla {

struct SampleOptions {
  std::filesystem::path prompts;  // .jsonl with a string field `prompt` a line
  std::filesystem::path out;      // .jsonl: {"text", "prompt"} a line, in the order of the prompts
  SamplingOptions sampling;
  uint64_t seed = 0;     // prompt i draws from (seed, i): any subset gives the same texts
  int64_t slots = 32;    // sequences in flight
  int64_t limit = 0;     // only the first prompts; 0: all
  bool replace = false;  // lose a file that is at `out`
};

struct SampleReport {
  int64_t documents = 0;
  int64_t tokens = 0;
  double tokens_per_second = 0;
};

// Finished texts are kept in `<out>.partial`, so that an interrupted run continues where it stopped.
SampleReport SampleCorpus(const LanguageModel& model, const SampleOptions& options);

}  // namespace nla
