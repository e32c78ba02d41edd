// tests/client/fake_server.py, run for as long as the object lives, on the prompts of a tiny pair's verbalizer.
#pragma once

#include <sys/types.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "nla/actor_inputs.h"
#include "nla/tiny_pair_testing.h"

namespace nla {

class FakeServer {
 public:
  // `behaviour` as the script describes it; width, site and ids are added.
  FakeServer(const TinyPair& tiny, nlohmann::json behaviour);
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;
  ~FakeServer();

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  // The requests for replies so far, without their numbers.
  std::vector<nlohmann::json> Requests() const;

 private:
  ScratchDirectory scratch_;
  pid_t process_ = -1;
  int to_server_ = -1;
  int port_ = 0;
};

}  // namespace nla
