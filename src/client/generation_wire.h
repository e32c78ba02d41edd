// What goes over the wire to a server that writes replies, and what comes back: SGLang's /generate, which ours answers
// too, and vLLM's /v1/completions. Definitions: docs/serving.md.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/request.h"
#include "model/sampler.h"

namespace nla {

enum class ServerKind { kNla, kSglang, kVllm };
// How input embeddings are written to /generate.
enum class Transport {
  kJson,     // numbers, each with a decimal point: SGLang tells a prompt from a batch by the first one's type
  kB64Bf16,  // rounded to bf16; for servers that compute in it, and injected norms below kLargestBf16Scale
  kBytes,    // fp32
};
inline constexpr double kLargestBf16Scale = 1000;

const char* Name(ServerKind kind);        // "nla" …
const char* FieldName(Transport format);  // "input_embeds" …

// One reply that is asked for. Borrows the rows.
struct RemoteRequest {
  std::span<const float> rows;  // input embeddings [T, D]
  int64_t width = 0;            // D
  SamplingOptions sampling = {};
  uint64_t seed = 0;
};

// Bodies. All parameters are written, since servers have defaults of their own (a model's, for one); the seed is not
// where it does not matter.
std::string GenerateBody(const RemoteRequest& request, Transport transport);
std::string CompletionBody(const RemoteRequest& request, const std::string& model);

struct RemoteReply {
  std::vector<TokenId> ids;      // without the stop token
  std::vector<double> logprobs;  // one for each id, as the server counts them
  // The stop token that ended the reply, and its logprob; a stop by other means has none.
  std::optional<std::pair<TokenId, double>> stop_token = {};
  // Of the weights that wrote it, where the server says so; a vLLM's model, which names its adapters.
  std::string weight_version = {};
  FinishReason finish = FinishReason::kLength;
  // Why the reply must not be used although the server gave it: it was aborted, or retracted while it ran, or its
  // logprobs are not those of all its tokens. Empty: it may.
  std::string unusable = {};
};

// Answers. One that has not the form is an error of the one who chose the server (`where` is its address).
RemoteReply ReadGenerateAnswer(const std::string& body, std::span<const TokenId> stop_ids, const std::string& where);
RemoteReply ReadCompletionAnswer(const std::string& body, std::span<const TokenId> stop_ids, const std::string& where);

// fp32 [rows, width] as torch.save writes it and torch.load(weights_only=True) reads it.
std::string TorchSaved(std::span<const float> values, int64_t width);

}  // namespace nla
