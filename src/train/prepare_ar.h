// The reconstructor before training: blocks 0..K of the base model, an identity value head, a sidecar.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace nla {

struct PrepareArOptions {
  std::filesystem::path model;  // base checkpoint directory
  int64_t layer = -1;           // K: the output of block K, 0-based
  std::filesystem::path out;
  std::filesystem::path critic_template;  // text file with {explanation}; empty: the releases' template
  std::string base_model;                 // name in the sidecar; empty: the directory's
  bool replace = false;                   // lose what is at `out`
};

struct PrepareArReport {
  int64_t blocks = 0;
  int64_t d_model = 0;
  int64_t parameters = 0;  // value head included
};

// The directory appears whole or not at all. Weights keep the number type they have.
PrepareArReport PrepareAr(const PrepareArOptions& options);

}  // namespace nla
