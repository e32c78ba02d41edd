// The angles of a RopeSpec: cosines and sines by position, made as far as they are asked for.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "model/spec.h"

namespace nla {

// Radians a token of each pair of a head's d/2, in fp32 as transformers computes them.
std::vector<float> RopeFrequencies(const RopeSpec& rope, int64_t d_head);

// Copies share their tables. Get may be called from several threads.
class RopeTable {
 public:
  RopeTable(const RopeSpec& rope, int64_t d_head, int64_t max_positions);

  // {cos, sin}, fp32 [at least `positions`, d/2]. A context of 131072 tokens would be a hundred MB a table, so they
  // grow with the longest sequence so far.
  std::pair<at::Tensor, at::Tensor> Get(int64_t positions) const;

 private:
  struct Tables {
    std::mutex mutex;
    at::Tensor cos, sin;
  };
  std::vector<float> frequencies_;
  int64_t max_positions_;
  std::shared_ptr<Tables> tables_;  // copies of a decoder that share its weights share them too
};

}  // namespace nla
