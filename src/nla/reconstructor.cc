// Reconstruction: packed prompts through blocks 0..K, the value head at each last token.
#include "nla/reconstructor.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <cstring>

#include "base/fail.h"
#include "base/interrupt.h"
#include "nla/prompt.h"

namespace nla {
namespace {

constexpr int64_t kBatchTokens = 2048;

// Every score here is taken at norm sqrt(d) (formats.md section 1); sidecars write it with few digits.
void CheckScale(const RoleSource& source, const ModelSidecar& sidecar) {
  const double wanted = std::sqrt(static_cast<double>(sidecar.d_model));
  const std::optional<double> scale = sidecar.mse_scale.Resolve(sidecar.d_model);
  if (scale && std::abs(*scale - wanted) <= 1e-3 * wanted) return;
  Fail({.where = (source.directory / "nla_meta.yaml").string() + ": extraction.mse_scale",
        .what = "is not supported",
        .found = scale ? fmt::format("{}", *scale) : "null",
        .wanted = fmt::format("sqrt_d_model ({:.4f})", wanted),
        .mend = "Its mse and FVE could not be compared with those of this program"});
}

}  // namespace

Reconstructor Reconstructor::Load(const RoleSource& source) {
  RoleCheckpoint role = LoadRole(source, Role::kCritic);
  CheckScale(source, role.sidecar);
  const std::vector<TokenId> suffix = CriticSuffixIds(role.tokenizer, role.sidecar.critic_template);
  if (role.sidecar.tokens && !role.sidecar.tokens->critic_suffix_ids.empty() &&
      role.sidecar.tokens->critic_suffix_ids != suffix) {
    Fail({.where = (source.directory / "nla_meta.yaml").string() + ": tokens.critic_suffix_ids",
          .what = "the live tokenizer cuts the template's tail differently",
          .found = fmt::format("[{}]", fmt::join(role.sidecar.tokens->critic_suffix_ids, ", ")),
          .wanted = fmt::format("[{}]", fmt::join(suffix, ", ")),
          .mend = "Use the tokenizer.json that the pair was trained with"});
  }
  return {std::move(role), suffix};
}

std::vector<float> Reconstructor::Run(std::span<const std::string> explanations) const {
  const at::NoGradGuard no_grad;
  const int64_t d = d_model();
  std::vector<float> vectors(explanations.size() * d);
  size_t begin = 0;
  while (begin < explanations.size()) {
    ThrowIfInterrupted();
    PackedBatch batch;
    std::vector<TokenId> ids;
    std::vector<int64_t> last_rows;
    size_t end = begin;
    for (; end < explanations.size() && (end == begin || static_cast<int64_t>(ids.size()) < kBatchTokens); ++end) {
      const std::string prompt = FillCriticTemplate(role_.sidecar.critic_template, explanations[end]);
      const std::vector<TokenId> prompt_ids = CriticPromptIds(role_.tokenizer, prompt, suffix_);
      ids.insert(ids.end(), prompt_ids.begin(), prompt_ids.end());
      batch.lengths.push_back(static_cast<int64_t>(prompt_ids.size()));
      last_rows.push_back(static_cast<int64_t>(ids.size()) - 1);
    }
    const at::Tensor hidden_TD = role_.decoder.Forward(role_.decoder.Embed(ids), batch);
    const at::Tensor last_BD = hidden_TD.index_select(0, at::tensor(last_rows, at::kLong));
    const at::Tensor out_BD = at::mm(last_BD, role_.value_head.t()).contiguous();
    std::memcpy(vectors.data() + begin * d, out_BD.const_data_ptr<float>(), (end - begin) * d * sizeof(float));
    begin = end;
  }
  return vectors;
}

}  // namespace nla
