// One thread for the arithmetic that is not the engines': blocks of the base model, the reconstructor. Connection
// threads come and go, and each would bring a thread pool of its own.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <thread>
#include <type_traits>

namespace nla::serve {

class Worker {
 public:
  // `threads`: of the thread's parallel loops.
  explicit Worker(int threads);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  // Runs `work` after what came before it, and gives its result or throws what it threw. From any thread but its own.
  template <typename Work>
  std::invoke_result_t<Work> Run(Work work) {
    std::packaged_task<std::invoke_result_t<Work>()> task(std::move(work));
    auto result = task.get_future();
    Push([&task] { task(); });
    return result.get();
  }

 private:
  void Push(std::function<void()> work);
  void Loop(int threads);

  std::mutex mutex_;
  std::condition_variable news_;
  std::deque<std::function<void()>> queue_;
  bool stop_ = false;
  std::thread thread_;
};

// Keeps the calling thread's tensor operations on that thread, without gradients.
class SmallTensorWork {
 public:
  SmallTensorWork();
  ~SmallTensorWork();
  SmallTensorWork(const SmallTensorWork&) = delete;
  SmallTensorWork& operator=(const SmallTensorWork&) = delete;

 private:
  bool gradients_;
};

}  // namespace nla::serve
