// Injection of activations into input embeddings.
#include "nla/injection.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include "base/fail.h"

namespace nla {
namespace {

at::Tensor Norms(const at::Tensor& rows) { return at::linalg_vector_norm(rows, 2, {1}, /*keepdim=*/true); }

// Rows scaled to the given norms [S, 1]; a zero row stays zero.
at::Tensor ScaleRows(const at::Tensor& rows, const at::Tensor& norms) {
  const at::Tensor own = Norms(rows);
  return at::where(own > 0, rows * (norms / own), at::zeros_like(rows));
}

}  // namespace

void CheckFinite(const at::Tensor& activations_SD) {
  const at::Tensor finite_S = at::isfinite(activations_SD).all(1);
  if (finite_S.all().item<bool>()) return;
  for (int64_t row = 0; row < finite_S.size(0); ++row) {
    if (!finite_S[row].item<bool>()) {
      Fail({.where = fmt::format("activation {}", row), .what = "holds NaN or Inf", .wanted = "finite numbers"});
    }
  }
}

at::Tensor ScaledActivations(const at::Tensor& activations_SD, const Scale& scale) {
  NLA_CHECK(activations_SD.scalar_type() == at::kFloat);
  CheckFinite(activations_SD);
  const std::optional<double> norm = scale.Resolve(activations_SD.size(1));
  if (!norm) return activations_SD;
  return ScaleRows(activations_SD, at::zeros_like(Norms(activations_SD)) + *norm);
}

at::Tensor Inject(const at::Tensor& hidden_TD, const at::Tensor& activations_SD, const at::Tensor& sites_S,
                  const InjectionOptions& options) {
  NLA_CHECK(sites_S.size(0) == activations_SD.size(0) && hidden_TD.size(1) == activations_SD.size(1));
  if (options.rule == InjectionRule::kReplace) {
    return hidden_TD.index_copy(0, sites_S, ScaledActivations(activations_SD, options.scale));
  }
  CheckFinite(activations_SD);
  const at::Tensor rows = hidden_TD.index_select(0, sites_S);
  return hidden_TD.index_copy(0, sites_S, rows + ScaleRows(activations_SD, Norms(rows)));
}

}  // namespace nla
