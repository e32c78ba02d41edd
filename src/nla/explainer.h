// The main job: a text goes in; for chosen tokens the activation at layer K is explained, reconstructed and scored.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "nla/pair.h"
#include "nla/reconstructor.h"
#include "nla/verbalizer.h"

namespace nla {

struct ExplainOptions {
  // 0-based; negative counts from the end (-1 is the last token). Empty: every token.
  std::vector<int64_t> tokens = {-1};
  bool parse_special = false;
  VerbalizeOptions verbalize = {};
};

struct TokenExplanation {
  int64_t index = 0;
  TokenId id = -1;
  std::string token;
  std::string explanation;  // the raw reply when ok is false
  bool ok = false;          // the reply had both tags
  double norm = 0;          // of the activation
  double cosine = 0, mse = 0;
  // Against the pair's baselines; absent when it has none.
  std::optional<double> fve_raw_variance, fve_mean_norm;
};

// Holds the base model up to block K, the verbalizer and the reconstructor. Not thread-safe.
class Explainer {
 public:
  // `packing` is the verbalizer's (RoleSource); activations and reconstruction are computed from plain weights.
  static Explainer Load(const PairLocation& pair, at::ScalarType compute,
                        std::optional<packed::Format> packing = std::nullopt);

  // In the order of the tokens asked for. Errors: empty text, a token out of range.
  std::vector<TokenExplanation> Explain(const std::string& text, const ExplainOptions& options) const;

  const Verbalizer& verbalizer() const { return verbalizer_; }
  const Reconstructor& reconstructor() const { return reconstructor_; }

 private:
  Explainer(PairLocation pair, Tokenizer tokenizer, Decoder base, Verbalizer verbalizer, Reconstructor reconstructor);
  // The residual stream after block K at `positions`, [n, d].
  std::vector<float> Activations(const std::vector<TokenId>& ids, const std::vector<int64_t>& positions) const;

  PairLocation pair_;
  Tokenizer tokenizer_;
  Decoder base_;
  Verbalizer verbalizer_;
  Reconstructor reconstructor_;
};

}  // namespace nla
