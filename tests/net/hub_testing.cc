// Starts and stops the Python server; its end of standard input is its sign to leave.
#include "net/hub_testing.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "base/fail.h"
#include "base/file.h"
#include "base/random.h"

namespace nla {

TestHub::TestHub() { std::filesystem::create_directories(scratch_ / "root/owner/name"); }

TestHub::~TestHub() {
  if (process_ < 0) return;
  close(to_server_);
  waitpid(process_, nullptr, 0);
}

void TestHub::Put(const std::string& path, const std::string& bytes) const {
  const fs::path file = scratch_ / "root/owner/name" / path;
  fs::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << bytes;
}

std::string TestHub::Content(const std::string& path) const { return ReadFile(scratch_ / "root/owner/name" / path); }

void TestHub::Start(nlohmann::json behaviour) {
  behaviour["commit"] = kTestCommit;
  int in[2];
  int out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) Fail({.what = "pipe"});
  const std::string script = NLA_SOURCE_DIR "/tests/net/hub_server.py";
  const std::string root = (scratch_ / "root").string();
  const std::string log = (scratch_ / "log").string();
  const std::string text = behaviour.dump();
  process_ = fork();
  if (process_ == 0) {
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    execl(NLA_PYTHON, NLA_PYTHON, script.c_str(), root.c_str(), log.c_str(), text.c_str(), nullptr);
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  to_server_ = in[1];
  FILE* answer = fdopen(out[0], "r");
  int cdn = 0;
  if (std::fscanf(answer, "%d %d", &port_, &cdn) != 2) Fail({.where = script, .what = "did not start"});
  std::fclose(answer);
}

HubSettings TestHub::Settings() const {
  HubSettings settings;
  settings.endpoint = endpoint();
  settings.cache = cache();
  return settings;
}

std::vector<nlohmann::json> TestHub::Requests() const {
  std::vector<nlohmann::json> requests;
  std::ifstream log(scratch_ / "log");
  for (std::string line; std::getline(log, line);) requests.push_back(nlohmann::json::parse(line));
  return requests;
}

std::string SomeBytes(size_t size, uint64_t seed) {
  CounterRandom random(seed, 0);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.Uniform() * 256);
  return bytes;
}

}  // namespace nla
