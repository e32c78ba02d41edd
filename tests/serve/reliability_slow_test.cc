// Many clients at once, of which a third goes away in the middle, a tenth asks for nonsense, some read slowly and some
// are killed, while weights are replaced: nothing is lost or mixed up, and afterwards the server holds what it held.
// NLA_RELIABILITY_REQUESTS sets the number of requests.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/random.h"
#include "nla/tiny_pair_testing.h"
#include "serve/client_testing.h"
#include "serve/program_testing.h"

namespace nla::serve {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using testing::HasSubstr;

constexpr int kClients = 64;
constexpr int kJobs = 48;

// A request whose answer is known from a run on its own.
struct Job {
  std::string path;
  json body;
  json alone;
};

// What of an answer does not depend on when and beside what it was made, up to the last digits.
json Essence(const json& answer) {
  json rows = json::array();
  if (answer.contains("rows")) {
    for (const json& row : answer["rows"]) rows.push_back({row["raw"], row["finish_reason"], row["completion_tokens"]});
  } else {
    rows.push_back({answer["output_ids"], answer["text"], answer["meta_info"]["finish_reason"]});
  }
  return rows;
}

std::vector<Job> MakeJobs() {
  std::vector<Job> jobs(kJobs);
  for (int i = 0; i < kJobs; ++i) {
    const json sampling = {
        {"temperature", 1.0}, {"max_new_tokens", 4 + i % 20}, {"sampling_seed", i}, {"ignore_eos", true}};
    jobs[i].body = {{"sampling_params", sampling}};
    if (i % 3 == 0) {
      jobs[i].path = "/generate";
      jobs[i].body["text"] = fmt::format("the ship number {} left", i);
    } else {
      const int64_t rows = 1 + i % 2;
      const std::vector<float> vectors = RandomVectors(rows, static_cast<uint64_t>(i));
      jobs[i].path = "/v1/nla/verbalize";
      for (int64_t r = 0; r < rows; ++r) {
        jobs[i].body["activations"].push_back(
            std::vector<float>(vectors.begin() + r * kTinyWidth, vectors.begin() + (r + 1) * kTinyWidth));
      }
    }
  }
  return jobs;
}

// A line of /proc/PID/status: its number.
double StatusOf(int process, const std::string& name) {
  std::ifstream status(fmt::format("/proc/{}/status", process));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name + ":")) return std::stod(line.substr(name.size() + 1));
  }
  return -1;
}

int64_t DescriptorsOf(int process) {
  int64_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", process)))
    ++count;
  return count;
}

struct Held {
  double threads = 0;
  int64_t descriptors = 0;
  friend bool operator==(const Held&, const Held&) = default;
};
Held HeldBy(int process) { return {StatusOf(process, "Threads"), DescriptorsOf(process)}; }

// Bodies that are refused, and the status that says so.
std::pair<std::string, int> Malformed(const Job& job, uint64_t kind) {
  json body = job.body;
  switch (kind % 6) {
    case 0:
      return {"{", 400};
    case 1:
      return {body.dump().substr(1), 400};
    case 2:
      body["no_such_field"] = 1;
      return {body.dump(), 400};
    case 3:
      body["sampling_params"]["temperature"] = -1;
      return {body.dump(), 400};
    case 4:
      return {R"({"text": "a", "input_ids": [1], "activations": [[1, 2]]})", 400};
    default:
      return {std::string(200, '\xff'), 400};
  }
}

class Load {
 public:
  Load(int port, const std::vector<Job>& jobs) : port_(port), jobs_(jobs) {}

  // Requests `begin` … `end` - 1, by all clients.
  void Run(int64_t begin, int64_t end) {
    next_ = begin;
    std::vector<std::jthread> clients;
    clients.reserve(kClients);
    for (int c = 0; c < kClients; ++c) {
      clients.emplace_back([&] {
        for (int64_t i = next_++; i < end; i = next_++) One(i);
      });
    }
  }

  std::atomic<int64_t> answered = 0, cancelled = 0, refused = 0, slow = 0, wrong = 0;

 private:
  void One(int64_t i) {
    CounterRandom random(11, static_cast<uint64_t>(i));
    const Job& job = jobs_[random.Below(jobs_.size())];
    const uint64_t dice = random.Below(300);
    if (dice < 100) {
      Cancel(job, random);
    } else if (dice < 130) {
      const auto [body, status] = Malformed(job, random.Below(6));
      Expect(Ask(port_, "POST", job.path, body).status == status, refused);
    } else if (dice < 136) {
      ReadSlowly(job);
    } else {
      const Answer answer = Ask(port_, "POST", job.path, job.body.dump());
      Expect(answer.status == 200 && Essence(answer.json()) == job.alone, answered);
    }
  }

  void Expect(bool right, std::atomic<int64_t>& count) { ++(right ? count : wrong); }

  // Goes at once, in the middle of its body, while it waits, or in the middle of a stream.
  void Cancel(const Job& job, CounterRandom& random) {
    json body = job.body;
    const uint64_t how = random.Below(4);
    if (how == 3) body["stream"] = true;
    const std::string request = RequestText("POST", job.path, body.dump());
    TestClient client(port_);
    client.Send(how == 1 ? request.substr(0, request.size() / 2) : request);
    if (how == 2) std::this_thread::sleep_for(milliseconds(random.Below(30)));
    if (how == 3) client.ReadUntil("data: ");
    if (random.Below(2) == 0) client.Vanish();
    ++cancelled;
  }

  // Takes a stream piece by piece.
  void ReadSlowly(const Job& job) {
    json body = job.body;
    body["stream"] = true;
    TestClient client(port_);
    client.Send(RequestText("POST", job.path, body.dump()));
    std::this_thread::sleep_for(milliseconds(200));
    const Answer answer = client.Read();
    Expect(answer.status == 200 && answer.whole && answer.Events().back() == "[DONE]", slow);
  }

  int port_;
  const std::vector<Job>& jobs_;
  std::atomic<int64_t> next_ = 0;
};

// A process with eight requests under way, killed.
void KillAClient(int port, const Job& job) {
  const std::string code = fmt::format(
      "import socket, sys, time\n"
      "ones = [socket.create_connection(('127.0.0.1', {})) for _ in range(8)]\n"
      "for i, one in enumerate(ones): one.sendall(sys.argv[1].encode()[: None if i % 2 else -3])\n"
      "print('sent', flush=True)\n"
      "time.sleep(1000)\n",
      port);
  const std::string request = RequestText("POST", job.path, job.body.dump());
  int out[2];
  ASSERT_EQ(pipe2(out, O_CLOEXEC), 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(out[1], STDOUT_FILENO);
    execl(NLA_PYTHON, NLA_PYTHON, "-c", code.c_str(), request.c_str(), nullptr);
    _exit(127);
  }
  close(out[1]);
  char byte = 0;
  EXPECT_EQ(read(out[0], &byte, 1), 1);
  close(out[0]);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

TEST(ReliabilitySlow, NothingIsLostMixedUpOrKept) {
  const char* const asked = std::getenv("NLA_RELIABILITY_REQUESTS");
  const int64_t requests = asked != nullptr ? std::stoll(asked) : 600;
  const TinyPair tiny;
  tiny.Assemble("pair", "av", "ar");
  ServeProcess server(
      {"--pair", (tiny / "pair").string(), "--threads", "1", "--dtype", "fp32", "--write-seconds", "60"});
  const int port = server.port();
  const int process = server.ready()["pid"];
  std::vector<Job> jobs = MakeJobs();
  for (Job& job : jobs) {
    const Answer answer = Ask(port, "POST", job.path, job.body.dump());
    ASSERT_EQ(answer.status, 200) << answer.body;
    job.alone = Essence(answer.json());
  }
  std::this_thread::sleep_for(milliseconds(500));  // the last connection's thread leaves
  const Held before = HeldBy(process);

  Load load(port, jobs);
  const int64_t warm = requests / 3;
  load.Run(0, warm);
  const double memory = StatusOf(process, "VmRSS");
  {
    // The same weights again and again: what runs meanwhile must not notice.
    const json update = {{"model_path", (tiny / "av").string()}};
    std::jthread updates([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        const Answer answer = Ask(port, "POST", "/update_weights_from_disk", update.dump());
        EXPECT_EQ(answer.status, 200) << answer.body;
        std::this_thread::sleep_for(milliseconds(100));
      }
    });
    std::jthread killed([&] {
      for (int i = 0; i < 3; ++i) KillAClient(port, jobs[i]);
    });
    load.Run(warm, requests);
  }
  EXPECT_EQ(load.wrong, 0);
  EXPECT_EQ(load.answered + load.cancelled + load.refused + load.slow, requests);
  EXPECT_GT(load.cancelled, requests / 4);
  EXPECT_GT(load.refused, requests / 20);
  EXPECT_GT(load.answered, requests / 3);

  // A body that nobody would read is refused by its head.
  TestClient huge(port);
  huge.Send("POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n");
  EXPECT_EQ(huge.Read().status, 413);
  huge.Vanish();

  // The clients that went are noticed, and their threads and descriptors given back.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (HeldBy(process) != before && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(milliseconds(50));
  const Held after = HeldBy(process);
  EXPECT_EQ(after.threads, before.threads);
  EXPECT_EQ(after.descriptors, before.descriptors);
  const std::string metrics = Ask(port, "GET", "/metrics").body;
  for (const char* idle :
       {"nla_replies_running{engine=\"verbalizer\"} 0\n", "nla_replies_waiting{engine=\"verbalizer\"} 0\n",
        "nla_http_requests_working 0\n", "nla_http_requests_waiting 0\n"}) {
    EXPECT_THAT(metrics, HasSubstr(idle));
  }
  const double now = StatusOf(process, "VmRSS");
  RecordProperty("memory_kib", fmt::format("{} then {}", memory, now));
  fmt::print("{} requests: {} answered, {} cancelled, {} refused, {} read slowly; memory {:.0f} MiB, then {:.0f}\n",
             requests, load.answered.load(), load.cancelled.load(), load.refused.load(), load.slow.load(),
             memory / 1024, now / 1024);
  EXPECT_LT(now, memory * 1.05);
  for (const Job& job : jobs) {
    EXPECT_EQ(Essence(Ask(port, "POST", job.path, job.body.dump()).json()), job.alone);
  }
  server.Signal(SIGTERM);
  EXPECT_EQ(server.Wait(), 0);
}

}  // namespace
}  // namespace nla::serve
