// Replies to prompts of embeddings, written by a server: several requests in flight, each retried, every answer
// checked. Whose prompts they are is the caller's to know.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "client/generation_wire.h"
#include "client/server_facts.h"
#include "net/http.h"

namespace nla {

struct RemoteOptions {
  ServerAddress address = {};
  std::optional<ServerKind> kind = {};      // found out where it is not given
  std::optional<Transport> transport = {};  // the exact one that is shortest, where it is not given
  int64_t concurrency = 32;                 // requests in flight
  bool force = false;                       // doubts about the server become warnings
  // A reply may wait long for its turn, and comes whole.
  HttpOptions http = {.stall_seconds = 600, .retries = 8, .first_wait = 0.5, .longest_wait = 30};
};

// What the prompts are.
struct RemotePrompts {
  int64_t d_model = 0;
  std::optional<double> largest_norm = {};  // of an injected row; nullopt: any
  std::vector<TokenId> stop_ids = {};
};

// Thread-safe once made.
class RemoteGenerator {
 public:
  struct Prompt {
    std::vector<float> rows;  // input embeddings [T, D]
    SamplingOptions sampling;
    uint64_t seed = 0;
  };
  // The prompt of request i of a run; nullopt: it is left out. Called by several threads at once.
  using MakePrompt = std::function<std::optional<Prompt>(int64_t i)>;
  // A reply as it comes, by one thread at a time.
  using Take = std::function<void(int64_t i, RemoteReply reply)>;

  // Asks the server what it is. Errors: it cannot be reached, wants another key, holds a model of another width; a
  // transport that it does not take, or that would lose digits.
  RemoteGenerator(const RemoteOptions& options, RemotePrompts prompts);

  // Requests 0..count−1. Replies that came are taken before an error or Ctrl-C is thrown. Where `weight_version` is
  // given, a reply that the server says is of other weights is asked for again; a vLLM is asked for the adapters of
  // that name.
  void Run(int64_t count, const MakePrompt& prompt, const Take& take, const std::string& weight_version = "") const;

  // Tells the server to load a directory, by a path that it can read, under a version's name: a checkpoint, or a vLLM
  // adapters in PEFT's layout in place of those that it loaded before, under a name that it never had. An error has the
  // server's reason.
  void LoadWeights(const std::string& directory, const std::string& weight_version) const;

  const ServerFacts& server() const { return facts_; }
  Transport transport() const { return transport_; }
  const ServerAddress& address() const { return options_.address; }

 private:
  void CheckServer() const;
  void ChooseTransport();
  RemoteReply Ask(HttpClient& client, const RemoteRequest& request, const std::string& weight_version) const;

  RemoteOptions options_;
  RemotePrompts prompts_;
  ServerFacts facts_;
  Transport transport_ = Transport::kJson;
};

}  // namespace nla
