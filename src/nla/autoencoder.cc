// The public face of a pair, over the explainer.
#include "nla/autoencoder.h"

#include <ATen/Parallel.h>

#include "model/tensor_io.h"
#include "nla/explainer.h"

namespace nla {
namespace {

VerbalizeOptions Translate(const WritingOptions& writing) {
  VerbalizeOptions options;
  options.sampling.temperature = writing.temperature;
  options.sampling.top_p = writing.top_p;
  options.sampling.max_new_tokens = writing.max_new_tokens;
  options.seed = writing.seed;
  return options;
}

}  // namespace

struct Autoencoder::Impl {
  PairLocation pair;
  Explainer explainer;
};

Autoencoder::Autoencoder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Autoencoder::Autoencoder(Autoencoder&&) noexcept = default;
Autoencoder& Autoencoder::operator=(Autoencoder&&) noexcept = default;
Autoencoder::~Autoencoder() = default;

Autoencoder Autoencoder::Open(const std::filesystem::path& directory, const AutoencoderOptions& options) {
  if (options.threads > 0) at::set_num_threads(options.threads);
  PairLocation pair = FindPair(directory, options.base);
  Explainer explainer = Explainer::Load(pair, ChooseDType(options.dtype));
  return Autoencoder(std::make_unique<Impl>(Impl{std::move(pair), std::move(explainer)}));
}

int64_t Autoencoder::d_model() const { return impl_->explainer.verbalizer().d_model(); }
int64_t Autoencoder::layer() const { return impl_->pair.manifest.layer; }

std::vector<ExplainedToken> Autoencoder::Explain(const std::string& text, std::span<const int64_t> tokens,
                                                 const WritingOptions& writing) const {
  ExplainOptions options;
  options.tokens.assign(tokens.begin(), tokens.end());
  options.verbalize = Translate(writing);
  std::vector<ExplainedToken> explained;
  for (TokenExplanation& one : impl_->explainer.Explain(text, options)) {
    explained.push_back({.index = one.index,
                         .token = std::move(one.token),
                         .explanation = std::move(one.explanation),
                         .ok = one.ok,
                         .cosine = one.cosine,
                         .mse = one.mse,
                         .fve_raw_variance = one.fve_raw_variance,
                         .fve_mean_norm = one.fve_mean_norm});
  }
  return explained;
}

std::vector<std::optional<std::string>> Autoencoder::Verbalize(std::span<const float> activations,
                                                               const WritingOptions& writing) const {
  std::vector<std::optional<std::string>> explanations;
  for (Verbalization& one : impl_->explainer.verbalizer().Run(activations, Translate(writing))) {
    explanations.push_back(std::move(one.explanation));
  }
  return explanations;
}

std::vector<float> Autoencoder::Reconstruct(std::span<const std::string> explanations) const {
  return impl_->explainer.reconstructor().Run(explanations);
}

}  // namespace nla
