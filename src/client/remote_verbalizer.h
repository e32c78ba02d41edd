// A verbalizer (AV) at work on a server: prompts are made here, replies are written there. Answers are those of
// Verbalizer: greedily decoded, equal to the last token where the server computes alike.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "client/server_facts.h"
#include "nla/actor_inputs.h"
#include "nla/verbalizer.h"

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

class RemoteVerbalizer {
 public:
  // Whether a reply is there already, by row of the activations and sample.
  using Skip = std::function<bool(int64_t index, int64_t sample)>;

  // Asks the server what it is. Errors: it cannot be reached, wants another key, holds a model of another width; a
  // transport that it does not take, or that would lose digits.
  RemoteVerbalizer(ActorInputs inputs, const RemoteOptions& options);

  // As Verbalizer::Run; `options.slots` is not used. `done` is called by several threads, one at a time, as each reply
  // comes. Replies that came are `done` before an error or Ctrl-C is thrown.
  void Run(std::span<const float> activations, const VerbalizeOptions& options, const Skip& skip,
           const std::function<void(Verbalization)>& done) const;
  std::vector<Verbalization> Run(std::span<const float> activations, const VerbalizeOptions& options) const;

  const ServerFacts& server() const { return facts_; }
  Transport transport() const { return transport_; }
  const ActorInputs& inputs() const { return inputs_; }

 private:
  void ChooseTransport();
  void CheckServer() const;
  RemoteReply Ask(HttpClient& client, const RemoteRequest& request) const;

  ActorInputs inputs_;
  RemoteOptions options_;
  ServerFacts facts_;
  Transport transport_ = Transport::kJson;
  std::vector<TokenId> stop_ids_;
};

}  // namespace nla
