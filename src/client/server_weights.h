// Giving a server new weights from a directory on disk: SGLang's address for it, which ours has too, and vLLM's for
// adapters. Which directory, and when, is the caller's.
#pragma once

#include <string>

#include "client/server_facts.h"
#include "net/http.h"

namespace nla {

struct ServedWeights {
  std::string directory;  // by a path that the server can read
  std::string version;    // the name that replies will carry
};

// SGLang and `nla serve`: the model's weights become those. An error has the server's reason.
void UpdateServedWeights(HttpClient& client, const ServerAddress& address, const ServedWeights& weights);

// A vLLM: adapters in PEFT's layout are loaded beside its base model under the version's name, which requests then ask
// for. What was loaded from the same directory before, by this run or one that was killed, is unloaded. The name must
// be one that this server never had: what a vLLM keeps of prompts, it keeps by the adapter's name.
void LoadServedAdapter(HttpClient& client, const ServerAddress& address, const ServedWeights& weights);

}  // namespace nla
