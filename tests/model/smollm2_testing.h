// SmolLM2 from its Python package, and what transformers computes on it: for the slow tests on a real model.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace nla::testing {

// The checkpoint directory, converted by the program under test where it is not there yet (tools/base_model.sh).
std::filesystem::path SmolLm2Directory();

// The texts that the reference was computed on.
std::vector<std::string> SmolLm2Texts();

// Layers whose output the reference holds.
inline constexpr int64_t kReferenceLayers[] = {0, 9, 20, 29};

// The output of tools/oracles/smollm2_reference.py, which takes a minute: kept under .cache/oracles by the hash of the
// script, the texts and the model.
std::filesystem::path SmolLm2Reference();

}  // namespace nla::testing
