// `nla serve` as a process of its own.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace nla::serve {

class ServeProcess {
 public:
  // Starts it with these arguments, --port 0 and --json, and waits until it says that it is ready.
  explicit ServeProcess(std::vector<std::string> arguments);
  ServeProcess(const ServeProcess&) = delete;
  ServeProcess& operator=(const ServeProcess&) = delete;
  ~ServeProcess();  // kills it when it still runs

  int port() const { return ready_["port"]; }
  const nlohmann::json& ready() const { return ready_; }
  void Signal(int signal) const;
  // Its exit code, or 128 + the signal that ended it.
  int Wait();

 private:
  int process_ = -1;
  nlohmann::json ready_;
};

}  // namespace nla::serve
