// Real models from Python packages, and what transformers computes on them: for the slow tests.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace nla::testing {

// The checkpoint directory, converted by the program under test where it is not there yet (tools/base_model.sh).
std::filesystem::path SmolLm2Directory();

// Gemma-3-270M, likewise (tools/gemma_model.sh); nothing where its packages cannot be fetched.
std::optional<std::filesystem::path> GemmaDirectory();

// A script of tools/oracles whose output is kept under .cache/oracles by the hash of all it depends on.
struct OracleRun {
  std::string script;                         // name without .py
  std::vector<std::string> arguments;         // all but --out
  std::vector<std::filesystem::path> inputs;  // files that it reads
  std::string ending = ".safetensors";        // of the output; empty: a folder
};
std::filesystem::path OracleOutput(const OracleRun& oracle);

// Files of a checkpoint directory that a reference depends on.
std::vector<std::filesystem::path> ModelFiles(const std::filesystem::path& model);

// The texts that the reference was computed on.
std::vector<std::string> SmolLm2Texts();

// Layers whose output the reference holds.
inline constexpr int64_t kReferenceLayers[] = {0, 9, 20, 29};

// The output of tools/oracles/smollm2_reference.py, which takes a minute.
std::filesystem::path SmolLm2Reference();

}  // namespace nla::testing
