// A checkpoint directory as one thing: tokenizer, chat format and decoder, checked against each other.
#pragma once

#include <filesystem>

#include "model/decoder.h"
#include "text/chat.h"
#include "text/tokenizer.h"

namespace nla {

struct LanguageModel {
  // Errors name the directory, and the tokenizer when it has ids that the embedding table lacks.
  static LanguageModel Load(const std::filesystem::path& directory, const DecoderOptions& options);
  // The same with a decoder that is there already.
  static LanguageModel WithDecoder(const std::filesystem::path& directory, Decoder decoder);

  std::filesystem::path directory;
  Tokenizer tokenizer;
  ChatFormat chat;
  Decoder decoder;
};

}  // namespace nla
