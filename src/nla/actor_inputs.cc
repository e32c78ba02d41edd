// The prompt is embedded once; each activation changes one row of it.
#include "nla/actor_inputs.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

#include "base/fail.h"
#include "model/embedding_rows.h"
#include "nla/injection.h"
#include "nla/role_checks.h"

namespace nla {

ActorInputs::ActorInputs(ModelSidecar sidecar, Tokenizer tokenizer, ChatFormat chat, ActorPrompt prompt,
                         at::Tensor rows_TD)
    : sidecar_(std::move(sidecar)),
      tokenizer_(std::move(tokenizer)),
      chat_(std::move(chat)),
      prompt_(std::move(prompt)),
      rows_TD_(std::move(rows_TD)) {}

ActorInputs ActorInputs::Load(const RoleSource& source) {
  const at::NoGradGuard no_grad;
  auto [sidecar, checkpoint] = OpenRole(source, Role::kActor);
  if (!sidecar.tokens) {
    Fail({.where = (source.directory / "nla_meta.yaml").string() + ": tokens",
          .what = "is missing",
          .wanted = "the marker token's facts"});
  }
  Tokenizer tokenizer = Tokenizer::Load(checkpoint.directory());
  CheckTokenizer(source, sidecar, tokenizer);
  ChatFormat chat = LoadChat(checkpoint.directory(), sidecar);
  ActorPrompt prompt = BuildActorPrompt(tokenizer, chat, sidecar.actor_template, *sidecar.tokens);
  at::Tensor rows_TD = EmbeddingRows(checkpoint, prompt.ids, source.compute);
  return {std::move(sidecar), std::move(tokenizer), std::move(chat), std::move(prompt), std::move(rows_TD)};
}

std::vector<float> ActorInputs::PromptRows(std::span<const float> activation) const {
  const at::NoGradGuard no_grad;
  const int64_t d = d_model();
  NLA_CHECK(static_cast<int64_t>(activation.size()) == d);
  const float* rows = rows_TD_.const_data_ptr<float>();
  std::vector<float> values(rows, rows + rows_TD_.numel());
  // One row alone, so that a thread of many needs no threads of its own.
  const at::Tensor marker_1D = rows_TD_.narrow(0, prompt_.site, 1);
  const at::Tensor vector_1D = at::from_blob(const_cast<float*>(activation.data()), {1, d}, at::kFloat);
  const at::Tensor injected_1D =
      Inject(marker_1D, vector_1D, at::zeros({1}, at::kLong), {sidecar_.injection_rule, sidecar_.injection_scale})
          .contiguous();
  std::copy_n(injected_1D.const_data_ptr<float>(), d, values.begin() + prompt_.site * d);
  return values;
}

}  // namespace nla
