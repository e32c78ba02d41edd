// A verbalizer (AV) at work on a server: prompts are made here, replies are written there. Answers are those of
// Verbalizer: greedily decoded, equal to the last token where the server computes alike.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "client/remote_generator.h"
#include "nla/actor_inputs.h"
#include "nla/verbalizer.h"

namespace nla {

class RemoteVerbalizer {
 public:
  // Whether a reply is there already, by row of the activations and sample.
  using Skip = std::function<bool(int64_t index, int64_t sample)>;

  // Errors: those of RemoteGenerator.
  RemoteVerbalizer(ActorInputs inputs, const RemoteOptions& options);

  // As Verbalizer::Run; `options.slots` is not used. `done` is called by several threads, one at a time, as each reply
  // comes. Replies that came are `done` before an error or Ctrl-C is thrown.
  void Run(std::span<const float> activations, const VerbalizeOptions& options, const Skip& skip,
           const std::function<void(Verbalization)>& done) const;
  std::vector<Verbalization> Run(std::span<const float> activations, const VerbalizeOptions& options) const;

  const ServerFacts& server() const { return generator_.server(); }
  Transport transport() const { return generator_.transport(); }
  const ActorInputs& inputs() const { return inputs_; }

 private:
  ActorInputs inputs_;
  RemoteGenerator generator_;
};

}  // namespace nla
