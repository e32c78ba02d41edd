// A trained pair as one object: text or activations to explanations, explanations to vectors, and scores.
// Needs no other library's headers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace nla {

struct AutoencoderOptions {
  std::filesystem::path base;  // base model's directory; empty: where the pair says
  std::string dtype = "auto";  // auto (bf16 where the processor multiplies it in hardware), fp32, bf16
  int threads = 0;             // 0: all cores. The setting is the process's, not the object's.
};

struct WritingOptions {
  double temperature = 0;  // 0: greedy
  double top_p = 1;
  int64_t max_new_tokens = 150;
  uint64_t seed = 0;
};

// One token of a text.
struct ExplainedToken {
  int64_t index = 0;  // 0-based
  std::string token;
  std::string explanation;  // the raw reply where ok is false
  bool ok = false;          // the reply had both explanation tags
  double cosine = 0;        // between the reconstructed and the true activation
  double mse = 0;           // 2(1 − cosine)
  // Against the pair's own baselines (docs/formats/checkpoint.md); absent where it has none.
  std::optional<double> fve_raw_variance, fve_mean_norm;
};

// Owns its models. Methods throw nla::Error. Not thread-safe: one object a thread, or a lock.
class Autoencoder {
 public:
  // `directory` holds pair.yaml, av/ and ar/. Every fact of the sidecars is checked against the live models.
  static Autoencoder Open(const std::filesystem::path& directory, const AutoencoderOptions& options = {});
  Autoencoder(Autoencoder&&) noexcept;
  Autoencoder& operator=(Autoencoder&&) noexcept;
  ~Autoencoder();

  int64_t d_model() const;
  int64_t layer() const;  // K: activations are the output of block K, 0-based

  // The tokens at `tokens` (0-based, negative from the end; empty: all), in that order.
  std::vector<ExplainedToken> Explain(const std::string& text, std::span<const int64_t> tokens = {},
                                      const WritingOptions& writing = {}) const;
  // `activations`: [n, d_model] row-major, raw fp32. One explanation a row; nullopt where the reply lacks the tags.
  std::vector<std::optional<std::string>> Verbalize(std::span<const float> activations,
                                                    const WritingOptions& writing = {}) const;
  // [n, d_model] row-major; only the direction means something.
  std::vector<float> Reconstruct(std::span<const std::string> explanations) const;

 private:
  struct Impl;
  explicit Autoencoder(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace nla
