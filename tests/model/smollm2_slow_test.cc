// The decoder on a real model, SmolLM2-135M-Instruct, against transformers: hidden states, logits, greedy text, and how
// far bf16 is off. tools/oracles/smollm2_reference.py makes the reference.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>

#include "engine/run_requests.h"
#include "model/language_model.h"
#include "model/model_testing.h"
#include "model/smollm2_testing.h"
#include "model/tensor_io.h"

namespace nla::testing {
namespace {

constexpr int64_t kPrompts = 10;
constexpr int64_t kNewTokens = 64;
// Where the two best logits are nearer than this, sums in another order may choose either.
constexpr float kTie = 0.02F;

// ‖a − b‖ / ‖b‖ of each row: the first token's state is hundreds of times as long as the others and would hide them.
at::Tensor RowErrors(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor wanted = b.to(at::kDouble);
  const at::Tensor difference = a.to(at::kDouble).sub(wanted);
  return at::linalg_vector_norm(difference, 2, at::IntArrayRef{1})
      .div(at::linalg_vector_norm(wanted, 2, at::IntArrayRef{1}));
}

class SmolLm2 : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { reference_ = new SafetensorsFile(SafetensorsFile::Open(SmolLm2Reference())); }
  static void TearDownTestSuite() { delete reference_; }

  static LanguageModel Load(at::ScalarType compute) {
    return LanguageModel::Load(SmolLm2Directory(), {.compute = compute});
  }
  static at::Tensor Reference(const std::string& name) { return Golden(*reference_, name); }

  // What the decoder computes on a text: "hidden.{K}" as the reference has it, and the last rows' "logits".
  static std::map<std::string, at::Tensor> Compute(const Decoder& decoder, size_t text) {
    const at::NoGradGuard no_grad;
    const auto ids = GoldenIds(*reference_, fmt::format("text{}.ids", text));
    std::map<std::string, at::Tensor> computed;
    const at::Tensor last_TD =
        decoder.Forward(decoder.Embed(ids), {.lengths = {static_cast<int64_t>(ids.size())}},
                        [&](int64_t block, const at::Tensor& residual_TD) {
                          if (std::count(std::begin(kReferenceLayers), std::end(kReferenceLayers), block) > 0) {
                            computed[fmt::format("hidden.{}", block)] = residual_TD.clone();
                          }
                        });
    const int64_t rows = Reference(fmt::format("text{}.logits", text)).size(0);
    computed["logits"] = decoder.Logits(decoder.FinalNorm(last_TD.slice(0, last_TD.size(0) - rows))).to(at::kFloat);
    return computed;
  }

  static SafetensorsFile* reference_;
};
SafetensorsFile* SmolLm2::reference_ = nullptr;

TEST_F(SmolLm2, TokenizesAsTransformersDoes) {
  const LanguageModel model = Load(at::kFloat);
  const auto texts = SmolLm2Texts();
  for (size_t i = 0; i < texts.size(); ++i) {
    auto ids = model.tokenizer.Encode(texts[i]);
    const auto wanted = GoldenIds(*reference_, fmt::format("text{}.ids", i));
    ids.resize(std::min(ids.size(), wanted.size()));
    EXPECT_EQ(ids, wanted) << i;
  }
}

TEST_F(SmolLm2, HiddenStatesAndLogitsEqualTransformers) {
  const LanguageModel model = Load(at::kFloat);
  double worst = 0;
  for (size_t i = 0; i < SmolLm2Texts().size(); ++i) {
    for (const auto& [name, computed] : Compute(model.decoder, i)) {
      const double error = RowErrors(computed, Reference(fmt::format("text{}.{}", i, name))).max().item<double>();
      EXPECT_LT(error, 2e-4) << "text " << i << " " << name;
      worst = std::max(worst, error);
    }
  }
  RecordProperty("largest relative error", fmt::format("{:.3g}", worst));
}

TEST_F(SmolLm2, GreedyTextEqualsTransformers) {
  const LanguageModel model = Load(at::kFloat);
  SamplingOptions greedy;
  greedy.temperature = 0;
  greedy.max_new_tokens = kNewTokens;
  const std::optional<TokenId> end = model.tokenizer.Find(model.chat.end_of_turn());
  ASSERT_TRUE(end);
  greedy.stop_ids = {*end};
  std::vector<std::vector<TokenId>> replies(kPrompts);
  Engine engine(model.decoder, model.tokenizer, {.max_running = kPrompts});
  RunRequests(
      engine, kPrompts,
      [&](int64_t i) {
        const auto ids = GoldenIds(*reference_, fmt::format("prompt{}.ids", i));
        return EngineRequest{.prompt_TD = model.decoder.Embed(ids), .sampling = greedy};
      },
      [&](int64_t i, Reply reply) {
        if (reply.finish.reason == FinishReason::kStop) reply.ids.push_back(*end);
        replies[i] = std::move(reply.ids);
      });
  int64_t compared = 0;
  for (int64_t i = 0; i < kPrompts; ++i) {
    const auto wanted = GoldenIds(*reference_, fmt::format("prompt{}.greedy", i));
    const at::Tensor margins = Reference(fmt::format("prompt{}.margin", i));
    const auto parted = std::mismatch(wanted.begin(), wanted.end(), replies[i].begin(), replies[i].end()).first;
    const int64_t equal = parted - wanted.begin();
    compared += equal;
    if (equal == static_cast<int64_t>(wanted.size())) {
      EXPECT_EQ(replies[i].size(), wanted.size()) << i;
    } else {
      // From a tie on, the two texts may differ.
      EXPECT_LT(margins[equal].item<float>(), kTie) << "prompt " << i << " parts at token " << equal;
    }
  }
  EXPECT_GT(compared, kPrompts * kNewTokens / 2);
  RecordProperty("equal tokens", static_cast<int>(compared));
}

TEST_F(SmolLm2, BFloat16IsAsNearAsTransformersOwn) {
  if (ChooseDType("auto") != at::kBFloat16) GTEST_SKIP() << "no bf16 arithmetic in this processor";
  const LanguageModel model = Load(at::kBFloat16);
  std::map<std::string, double> ours, theirs;
  for (size_t i = 0; i < SmolLm2Texts().size(); ++i) {
    for (const auto& [name, computed] : Compute(model.decoder, i)) {
      const at::Tensor wanted = Reference(fmt::format("text{}.{}", i, name));
      ours[name] += RowErrors(computed, wanted).mean().item<double>();
      theirs[name] += RowErrors(Reference(fmt::format("text{}.bf16.{}", i, name)), wanted).mean().item<double>();
    }
  }
  for (const auto& [name, error] : ours) {
    EXPECT_LT(error, 1.2 * theirs[name]) << name;
    RecordProperty(name, fmt::format("{:.4g} of {:.4g}", error, theirs[name]));
  }
}

}  // namespace
}  // namespace nla::testing
