// Injection: the marker rows of the input embeddings are overwritten by, or mixed with, scaled activations.
// Definition: formats.md section 1.
#pragma once

#include <ATen/core/Tensor.h>

#include "nla/sidecar.h"

namespace nla {

struct InjectionOptions {
  InjectionRule rule = InjectionRule::kReplace;
  Scale scale;  // norm of the injected row; none: the activation as it is
};

// hidden_TD: input embeddings, fp32. activations_SD: raw, fp32, finite. sites_S: row of each, int64. Returns a new
// [T, D]; differentiable by hidden_TD. `replace` writes v·(scale/‖v‖) (a zero vector stays zero); `add` adds the
// activation scaled to the embedding row's own norm.
at::Tensor Inject(const at::Tensor& hidden_TD, const at::Tensor& activations_SD, const at::Tensor& sites_S,
                  const InjectionOptions& options);

// NaN or Inf is an error that names the row.
void CheckFinite(const at::Tensor& activations_SD);
// Rows of activations at the injected norm, fp32 [S, D], checked as above.
at::Tensor ScaledActivations(const at::Tensor& activations_SD, const Scale& scale);

}  // namespace nla
