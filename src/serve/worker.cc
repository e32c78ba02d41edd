// The worker's loop.
#include "serve/worker.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

namespace nla::serve {

Worker::Worker(int threads) : thread_([this, threads] { Loop(threads); }) {}

Worker::~Worker() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  news_.notify_all();
  thread_.join();
}

void Worker::Push(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(work));
  }
  news_.notify_one();
}

void Worker::Loop(int threads) {
  at::set_num_threads(threads);
  const at::NoGradGuard no_grad;
  for (;;) {
    std::function<void()> work;
    {
      std::unique_lock lock(mutex_);
      news_.wait(lock, [&] { return stop_ || !queue_.empty(); });
      if (queue_.empty()) return;
      work = std::move(queue_.front());
      queue_.pop_front();
    }
    work();
  }
}

SmallTensorWork::SmallTensorWork() : gradients_(at::GradMode::is_enabled()) {
  at::get_num_threads();  // a thread's first call sets the number that all threads begin with
#ifdef _OPENMP
  omp_set_num_threads(1);  // of this thread alone
#endif
  at::GradMode::set_enabled(false);
}

SmallTensorWork::~SmallTensorWork() { at::GradMode::set_enabled(gradients_); }

}  // namespace nla::serve
