// Loading of a whole language model.
#include "model/language_model.h"

#include "base/fail.h"

namespace nla {

LanguageModel LanguageModel::Load(const std::filesystem::path& directory, const DecoderOptions& options) {
  return WithDecoder(directory, Decoder::Load(Checkpoint::Open(directory), options));
}

LanguageModel LanguageModel::WithDecoder(const std::filesystem::path& directory, Decoder decoder) {
  LanguageModel model{directory, Tokenizer::Load(directory), ChatFormat::Load(directory), std::move(decoder)};
  if (model.tokenizer.vocab_size() > model.decoder.spec().vocab_size) {
    Fail({.where = directory.string(),
          .what = "the tokenizer has ids that the model has no embedding for",
          .found = std::to_string(model.tokenizer.vocab_size()),
          .wanted = "at most vocab_size = " + std::to_string(model.decoder.spec().vocab_size),
          .mend = "Take tokenizer.json and config.json from the same checkpoint"});
  }
  return model;
}

}  // namespace nla
