// One thread owns the engine. Others put work for it into a queue, which is emptied between two steps.
#include "engine/engine_thread.h"

#include <chrono>
#include <condition_variable>
#include <exception>
#include <future>
#include <mutex>
#include <thread>
#include <utility>

#include "base/fail.h"

namespace nla {
namespace {

constexpr std::chrono::milliseconds kDrainPoll(20);

}  // namespace

struct EngineThread::Impl {
  Impl(const Decoder& decoder, const Tokenizer& tokenizer, const EngineOptions& options)
      : engine(decoder, tokenizer, options), snapshot(engine.counts()), thread([this] { Loop(); }) {}

  ~Impl() {
    Post([this] {
      engine.AbortAll("the engine is shut down");
      stopped = true;
    });
    thread.join();
  }

  void Post(std::function<void()> command) {
    {
      const std::lock_guard lock(mutex);
      commands.push_back(std::move(command));
    }
    wake.notify_one();
  }

  // Runs a command on the engine's thread and waits for its result.
  template <typename Command>
  auto Ask(const Command& command) {
    std::packaged_task<decltype(command())()> task(command);
    auto result = task.get_future();
    Post([&task] { task(); });
    return result.get();
  }

  void Loop() {
    while (!stopped) {
      std::vector<std::function<void()>> now;
      {
        std::unique_lock lock(mutex);
        wake.wait(lock, [this] { return !commands.empty() || HasWork(); });
        now = std::exchange(commands, {});
      }
      for (const auto& command : now) command();
      if (!stopped && HasWork()) Step();
      const std::lock_guard lock(mutex);
      snapshot = engine.counts();
    }
  }

  bool HasWork() const { return !paused && !engine.idle(); }

  // A step that fails (memory, most likely) ends the requests that it was for, not the server.
  void Step() {
    try {
      engine.Step();
    } catch (const std::exception& error) {
      engine.AbortAll(error.what());
      engine.FlushCache();
    }
  }

  // The engine's thread alone uses these.
  Engine engine;
  bool stopped = false;

  std::atomic<bool> paused = false, draining = false;
  mutable std::mutex mutex;  // of what follows
  std::condition_variable wake;
  std::vector<std::function<void()>> commands;
  EngineCounts snapshot;
  std::thread thread;  // last: it uses all of the above
};

EngineThread::EngineThread(const Decoder& decoder, const Tokenizer& tokenizer, const EngineOptions& options)
    : impl_(std::make_unique<Impl>(decoder, tokenizer, options)) {}

EngineThread::~EngineThread() = default;

int64_t EngineThread::max_tokens() const { return impl_->engine.max_tokens(); }

RequestId EngineThread::Submit(EngineRequest request, EngineSink sink) {
  if (impl_->draining) Fail({.where = "engine", .what = "takes no new requests: it is shutting down"});
  impl_->engine.Check(request);
  const RequestId id = impl_->engine.NewId();
  // A std::function must be copyable, which a request is: its tensor is shared.
  impl_->Post([impl = impl_.get(), id, request = std::move(request), sink = std::move(sink)] {
    impl->engine.Enter(id, request, sink);
  });
  return id;
}

bool EngineThread::Abort(RequestId id, const std::string& message) {
  return impl_->Ask([&] { return impl_->engine.Abort(id, message); });
}

int64_t EngineThread::AbortAll(const std::string& message) {
  return impl_->Ask([&] { return impl_->engine.AbortAll(message); });
}

int64_t EngineThread::Pause(PauseMode mode) {
  return impl_->Ask([&]() -> int64_t {
    impl_->paused = true;
    switch (mode) {
      case PauseMode::kAbort:
        return impl_->engine.AbortAll("generation was paused");
      case PauseMode::kRetract:
        return impl_->engine.RetractAll();
      case PauseMode::kInPlace:
        return impl_->engine.counts().running;
    }
    return 0;
  });
}

void EngineThread::Continue() {
  impl_->Ask([&] { impl_->paused = false; });
}

bool EngineThread::paused() const { return impl_->paused; }

bool EngineThread::FlushCache() {
  return impl_->Ask([&] {
    if (!impl_->engine.idle()) return false;
    impl_->engine.FlushCache();
    return true;
  });
}

void EngineThread::WithWeights(const std::function<void()>& work) {
  impl_->Ask([&] {
    impl_->engine.RetractAll();
    impl_->engine.FlushCache();
    work();
  });
}

void EngineThread::Drain(double seconds) {
  impl_->draining = true;
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  // What was submitted before is in the engine when it answers.
  while (!impl_->Ask([this] { return impl_->engine.idle(); })) {
    if (std::chrono::steady_clock::now() >= end) {
      AbortAll("the server is shutting down");
      return;
    }
    std::this_thread::sleep_for(kDrainPoll);
  }
}

EngineCounts EngineThread::counts() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->snapshot;
}

}  // namespace nla
