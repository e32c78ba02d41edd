// The arithmetic of one row's attention over pages of keys and values. Which rows, and on which threads, is
// paged_attention.cc's and packed/'s.
#pragma once

#include <cstdint>
#include <vector>

namespace nla {

struct AttentionShape {
  int64_t heads, groups, d;
  int64_t ratio() const { return heads / groups; }
};

// One new row: where its sequence lies, and the tokens it sees, first … end - 1.
struct AttendedRow {
  const int32_t* pages;
  int64_t first, end;
};

// Working memory of a thread: the weight of every token for each query head of a group.
class AttentionScratch {
 public:
  // For rows whose sequences have at most so many tokens.
  AttentionScratch(int64_t tokens, const AttentionShape& shape);
  float* weights() { return weights_.data(); }
  int64_t stride() const { return stride_; }

 private:
  int64_t stride_;  // numbers a head
  std::vector<float> weights_;
};

// A block's keys and values (kv_pages.h); T is fp32 or bf16.
template <typename T>
struct AttentionSlabs {
  const T* keys;
  const T* values;
  AttentionShape shape;
};

// The query heads of one group: q (scaled already) and out are [ratio, d]. Sums are fp32 and run in the order of the
// tokens, so that a row's result does not depend on what else is computed.
template <typename T>
void AttendGroup(const float* q, const AttendedRow& row, int64_t group, const AttentionSlabs<T>& slabs,
                 AttentionScratch& scratch, float* out);

}  // namespace nla
