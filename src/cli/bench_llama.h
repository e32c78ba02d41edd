// llama.cpp as a peer: its own benchmark of batches, llama-batched-bench (tools/llama_cpp.sh builds it).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/commands.h"

namespace nla::cli {

struct LlamaCppArguments {
  std::string program;
  std::vector<std::string> files;  // GGUF of the model
};

// --llama-cpp and --gguf.
void AddLlamaCppOptions(Command command, LlamaCppArguments& arguments);
// A usage error where one is given without the other.
void CheckLlamaCpp(const LlamaCppArguments& arguments);

struct LlamaCppLoad {
  int64_t batch = 1;  // sequences, each with a prompt of its own
  int64_t prompt_tokens = 1;
  int64_t tokens = 1;  // written after it
  int threads = 1;
};

struct LlamaCppSpeed {
  double prompt_tokens_per_second = 0;  // of all sequences together
  double tokens_per_second = 0;
  double seconds = 0;  // for all of it, loading left out
};

// Runs it once. An error names the program where it gives no speeds.
LlamaCppSpeed RunLlamaCpp(const std::string& program, const std::string& gguf, const LlamaCppLoad& load);

// "llama.cpp, model-q8_0.gguf".
std::string LlamaCppName(const std::string& gguf);

}  // namespace nla::cli
