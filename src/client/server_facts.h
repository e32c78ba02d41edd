// What a server elsewhere says of itself, and what its refusals mean.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/generation_wire.h"
#include "net/http.h"

namespace nla {

// How the user of a caller mends what is refused: `nla verbalize`'s options, unless the caller has words of its own.
struct MendWords {
  std::string verbalizer = "the verbalizer that --av or --pair names";
  std::string cached = "Start it with --disable-radix-cache, or pass --force";
  std::string key = "Pass --api-key, or set NLA_API_KEY";
  std::string kind = "--server-kind says which it is, where it hides these addresses";
};

struct ServerAddress {
  std::string url;         // of the server's root
  std::string api_key;     // empty: none
  MendWords mending = {};  // of refusals that it gives cause for
  // The address of a path; and the headers of a request.
  std::string At(const std::string& path) const;
  std::vector<std::pair<std::string, std::string>> Headers() const;
};

struct ServerFacts {
  ServerKind kind = ServerKind::kSglang;
  std::string model;                  // its name
  std::string weight_version;         // where it says one
  std::string weights_hash;           // the same
  std::optional<int64_t> d_model;     // the same
  std::vector<Transport> transports;  // of /generate that it names; empty: it names none
  // SGLang's cache of beginnings, which knows prompts by their ids alone and takes all embeddings for equal.
  bool caches_by_ids = false;
};

// Asks /server_info, /get_server_info and /v1/models, as far as needed. `kind`: what the user says it is.
ServerFacts AskServer(HttpClient& client, const ServerAddress& address, std::optional<ServerKind> kind);

// What the body of an error says, in SGLang's, OpenAI's or FastAPI's words.
std::string MessageOf(const std::string& body);

// Ends with what an answer without success means.
[[noreturn]] void FailServer(const HttpResponse& response, const ServerAddress& address, const std::string& what);

}  // namespace nla
