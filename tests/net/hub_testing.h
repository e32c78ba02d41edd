// A hub of our own on this machine: tests/net/hub_server.py, run for as long as the object lives.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/scratch_testing.h"
#include "net/hub.h"

namespace nla {

inline const std::string kTestCommit = "0123456789abcdef0123456789abcdef01234567";

// The files of the hub's one repository, owner/name.
class TestHub {
 public:
  TestHub();
  ~TestHub();
  TestHub(const TestHub&) = delete;
  TestHub& operator=(const TestHub&) = delete;

  // Before Start.
  void Put(const std::string& path, const std::string& bytes) const;
  std::string Content(const std::string& path) const;
  // `behaviour` as hub_server.py describes it, without the commit.
  void Start(nlohmann::json behaviour = nlohmann::json::object());

  std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(port_); }
  HubSettings Settings() const;  // with a cache of its own
  std::filesystem::path cache() const { return scratch_ / "cache"; }
  // What was asked so far.
  std::vector<nlohmann::json> Requests() const;

 private:
  ScratchDirectory scratch_;
  pid_t process_ = -1;
  int to_server_ = -1;
  int port_ = 0;
};

// `size` bytes that look random and are the same each time.
std::string SomeBytes(size_t size, uint64_t seed);

}  // namespace nla
