// A pair on disk: av/, ar/ and pair.yaml, which names the base model with its hash and the layer K.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "nla/role_checkpoint.h"

namespace nla {

struct PairManifest {
  std::string base_name;            // as the sidecars name it
  std::filesystem::path base_path;  // as written: absolute, or relative to the pair's directory
  std::string base_weights_hash;
  int64_t layer = -1;  // K
};

struct PairLocation {
  std::filesystem::path directory;
  std::filesystem::path base;  // the base model's directory, found
  PairManifest manifest;

  RoleSource Actor(at::ScalarType compute) const { return {directory / "av", base, compute}; }
  RoleSource Critic(at::ScalarType compute) const { return {directory / "ar", base, compute}; }
};

// Reads pair.yaml and finds the base model: `base_override` when given, else the manifest's path. Errors say how to get
// the base model when it is not there.
PairLocation FindPair(const std::filesystem::path& directory, const std::filesystem::path& base_override = {});

// Writes pair.yaml into a directory that has av/ and ar/.
void WritePairManifest(const std::filesystem::path& directory, const PairManifest& manifest);

}  // namespace nla
