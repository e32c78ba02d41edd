// The reconstructor (AR) at work: explanations to vectors.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "nla/role_checkpoint.h"

namespace nla {

// Not thread-safe.
class Reconstructor {
 public:
  // Checks what LoadRole checks, the critic suffix against the template, and that mse_scale is sqrt_d_model.
  static Reconstructor Load(const RoleSource& source);

  // One vector per explanation, [n, d] row-major, as the value head gives it (its norm means nothing).
  std::vector<float> Run(std::span<const std::string> explanations) const;

  const ModelSidecar& sidecar() const { return role_.sidecar; }
  int64_t d_model() const { return role_.sidecar.d_model; }

 private:
  Reconstructor(RoleCheckpoint role, std::vector<TokenId> suffix)
      : role_(std::move(role)), suffix_(std::move(suffix)) {}
  RoleCheckpoint role_;
  std::vector<TokenId> suffix_;
};

}  // namespace nla
