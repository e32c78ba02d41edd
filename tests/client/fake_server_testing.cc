// Starts and stops the Python server; its end of standard input is its sign to leave.
#include "client/fake_server_testing.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <utility>

#include "base/fail.h"

namespace nla {
namespace {

// What the script needs to know of the verbalizer.
void Describe(const TinyPair& tiny, nlohmann::json& behaviour) {
  const ActorInputs inputs = ActorInputs::Load(tiny.Source("av_known"));
  const std::vector<TokenId>& prompt = inputs.prompt_ids();
  const Tokenizer& tokenizer = inputs.tokenizer();
  const auto id = [&](const char* spelling) { return tokenizer.Find(spelling).value(); };
  const auto site = std::find(prompt.begin(), prompt.end(), inputs.sidecar().tokens->injection_token_id);
  behaviour["width"] = inputs.d_model();
  behaviour["site"] = site - prompt.begin();
  behaviour["ids"] =
      nlohmann::json::array({id("<explanation>"), nlohmann::json::array({id("a"), id("b"), id("c"), id("d")}),
                             id("</explanation>"), id("<|im_end|>")});
}

}  // namespace

FakeServer::FakeServer(const TinyPair& tiny, nlohmann::json behaviour) {
  Describe(tiny, behaviour);
  behaviour["log"] = (scratch_ / "log").string();
  int in[2];
  int out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) Fail({.what = "pipe"});
  const std::string script = NLA_SOURCE_DIR "/tests/client/fake_server.py";
  const std::string text = behaviour.dump();
  process_ = fork();
  if (process_ == 0) {
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    execl(NLA_PYTHON, NLA_PYTHON, script.c_str(), text.c_str(), nullptr);
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  to_server_ = in[1];
  FILE* answer = fdopen(out[0], "r");
  if (std::fscanf(answer, "%d", &port_) != 1) Fail({.where = script, .what = "did not start"});
  std::fclose(answer);
}

FakeServer::~FakeServer() {
  close(to_server_);
  waitpid(process_, nullptr, 0);
}

std::vector<nlohmann::json> FakeServer::Requests() const {
  std::vector<nlohmann::json> requests;
  std::ifstream log(scratch_ / "log");
  for (std::string line; std::getline(log, line);) requests.push_back(nlohmann::json::parse(line));
  return requests;
}

}  // namespace nla
