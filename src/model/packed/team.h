// A team of threads that goes through a pass together: one parallel region for all of it, and a barrier where all need
// what all have done. Opening a region for every operator would cost more than most operators of a decode step.
#pragma once

#include <ATen/Parallel.h>
#if defined(_OPENMP)
#include <omp.h>
#endif

#include <atomic>
#include <cstdint>

namespace nla::packed {

class Team {
 public:
  // Every thread of the region has the same object.
  explicit Team(int size) : size_(static_cast<uint32_t>(size)) {}
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  // Waits for all. Looks for a while, since most waits are short, then sleeps.
  void Meet() {
    if (size_ == 1) return;
    const uint32_t round = round_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size_) {
      arrived_.store(0, std::memory_order_relaxed);
      round_.store(round + 1, std::memory_order_release);
      round_.notify_all();
      return;
    }
    for (int i = 0; i < kLooks; ++i) {
      if (round_.load(std::memory_order_acquire) != round) return;
      Pause();
    }
    while (round_.load(std::memory_order_acquire) == round) round_.wait(round, std::memory_order_acquire);
  }

 private:
  static constexpr int kLooks = 4000;
  static void Pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  const uint32_t size_;
  std::atomic<uint32_t> arrived_ = 0;
  std::atomic<uint32_t> round_ = 0;
};

// One thread of a team.
struct Member {
  Team& team;
  int64_t index;
  int64_t size;

  // Calls body(i) for this thread's run of `count` things.
  template <typename Body>
  void Share(int64_t count, const Body& body) const {
    for (int64_t i = count * index / size; i < count * (index + 1) / size; ++i) body(i);
  }
  // The same in turns, for things that cost more the later they come.
  template <typename Body>
  void TakeTurns(int64_t count, const Body& body) const {
    for (int64_t i = index; i < count; i += size) body(i);
  }
};

// Runs body(member) on as many threads as torch may use; by itself inside another parallel region. What it throws ends
// the program.
template <typename Body>
void RunTeam(const Body& body) {
  Team alone(1);
  const Member single{alone, 0, 1};
#if defined(_OPENMP)
  const int wanted = at::in_parallel_region() ? 1 : at::get_num_threads();
  if (wanted == 1) return body(single);
  Team team(wanted);
#pragma omp parallel num_threads(wanted)
  {
    // Every thread has arrived once the region runs; should there be fewer than wanted, a barrier would wait for ever.
    if (omp_get_num_threads() == wanted) {
      body(Member{team, omp_get_thread_num(), wanted});
    } else if (omp_get_thread_num() == 0) {
      body(single);
    }
  }
#else
  body(single);
#endif
}

}  // namespace nla::packed
