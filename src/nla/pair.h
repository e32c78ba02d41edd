// A pair on disk: av/, ar/ and pair.yaml, which names the base model with its hash and the layer K; or two directories
// that were published apart.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "nla/metrics.h"
#include "nla/role_checkpoint.h"

namespace nla {

struct PairManifest {
  std::string base_name;            // as the sidecars name it
  std::filesystem::path base_path;  // as written: absolute, or relative to the pair's directory; empty: not known
  std::string base_weights_hash;
  int64_t layer = -1;  // K
  // Mean squared error that a constant guess has on held-out activations (formats.md section 1): what a single token's
  // FVE is measured against. Absent when the pair was put together without a held-out file.
  std::optional<Baselines> baselines;
};

struct PairLocation {
  std::filesystem::path directory;      // of pair.yaml; empty for two directories without one
  std::filesystem::path actor, critic;  // the sides' directories
  std::filesystem::path base;           // the base model's directory, found; empty where whole sides do without
  PairManifest manifest;
  std::string base_hash;  // of the base model's weights; empty when there is none to compare with

  RoleSource Actor(at::ScalarType compute) const { return {actor, base, compute, base_hash}; }
  RoleSource Critic(at::ScalarType compute) const { return {critic, base, compute, base_hash}; }
};

// Reads pair.yaml and finds the base model: `base_override` when given, else the manifest's path. Checks that av/ and
// ar/ are sides at the manifest's layer, and the base model's weights against the manifest's hash (reads every byte).
// Errors say how to get the base model when it is not there; a pair of whole sides may be without.
PairLocation FindPair(const std::filesystem::path& directory, const std::filesystem::path& base_override = {});

// Two directories as a pair, as published pairs come: checks that they belong together, and `base`, where given,
// against the hash in the sidecars.
PairLocation JoinSides(const std::filesystem::path& actor, const std::filesystem::path& critic,
                       const std::filesystem::path& base = {});

// The base model, for work that cannot do without it (`what`); an error says how to name it.
const std::filesystem::path& RequireBase(const PairLocation& pair, const std::string& what);

struct PairParts {
  std::filesystem::path actor;    // trained AV directory
  std::filesystem::path critic;   // trained AR directory
  std::filesystem::path base;     // base model's directory; may be empty where both sides are whole
  std::filesystem::path heldout;  // activations for the baselines; may be empty
};

// Puts a pair together at `out`, whole or not at all: copies both sides (adapters without the tokenizer files, which
// the base has) and writes pair.yaml, which is returned. Refuses sides that do not belong together, and adapters that
// were trained over other weights than the base's.
// With whole sides and no base the manifest has the base's name alone.
PairManifest AssemblePair(const PairParts& parts, const std::filesystem::path& out, bool replace);

void WritePairManifest(const std::filesystem::path& path, const PairManifest& manifest);

}  // namespace nla
