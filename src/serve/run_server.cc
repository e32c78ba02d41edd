// Signals, and the order of the end.
#include "serve/run_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <optional>

#include "base/fail.h"
#include "base/interrupt.h"
#include "base/log.h"

namespace nla::serve {
namespace {

std::atomic<int> g_stop_fd = -1;

// SA_RESETHAND has put the default action back: a second signal ends the process.
void OnStop(int /*signal*/) {
  const uint64_t one = 1;
  const int saved = errno;
  [[maybe_unused]] const ssize_t written = write(g_stop_fd, &one, sizeof(one));
  errno = saved;
}

// While it lives, SIGTERM and SIGINT are the server's: the program's own flag would stop the work of requests that are
// to end.
class StopSignal {
 public:
  StopSignal() : fd_(eventfd(0, EFD_CLOEXEC)) {
    if (fd_ < 0) Fail({.where = "serve", .what = "cannot make an event descriptor"});
    g_stop_fd = fd_;
    struct sigaction action {};
    action.sa_handler = &OnStop;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, &before_term_);
    sigaction(SIGINT, &action, &before_int_);
  }
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;
  ~StopSignal() {
    sigaction(SIGTERM, &before_term_, nullptr);
    sigaction(SIGINT, &before_int_, nullptr);
    close(fd_);
  }

  void Wait() const {
    uint64_t count = 0;
    while (read(fd_, &count, sizeof(count)) < 0 && errno == EINTR) continue;
  }

 private:
  int fd_;
  struct sigaction before_term_ {
  }, before_int_{};
};

}  // namespace

void RunServer(const ServerOptions& options, const std::function<ModelChoice()>& choose,
               const std::function<void(const HttpServer&, Models&)>& ready) {
  std::optional<Models> loaded;  // outlives the threads that use it
  Service service(options.service);
  HttpServer server(options.http, service);
  Models& models = loaded.emplace(choose());
  ThrowIfInterrupted();
  service.Open(models, options.seed, options.shown);
  const StopSignal stop;
  ready(server, models);
  stop.Wait();

  spdlog::info("serve: stopping; requests have {} s to end", options.drain_seconds);
  service.Close();
  if (!server.Drain(options.drain_seconds)) {
    constexpr double kSecondsToSaySo = 5;
    for (ServedModel* model : models.all()) {
      model->engine->AbortAll("the server is stopping");
      model->engine->Continue();  // should it have been paused
    }
    if (!server.Drain(kSecondsToSaySo)) server.Abort();
  }
  for (ServedModel* model : models.all()) model->engine->Drain(0);
}

}  // namespace nla::serve
