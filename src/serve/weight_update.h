// New weights for a decoder that is at work: checked whole before the first is changed.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "model/decoder.h"
#include "weights/checkpoint.h"

namespace nla::serve {

class WeightUpdate {
 public:
  // Opens a checkpoint directory: whole weights for a decoder without adapters, adapters for one with them. Errors name
  // what does not fit: another architecture, a tensor that is missing or has another shape or type, another rank.
  // Changes nothing. The decoder is borrowed.
  static WeightUpdate Open(Decoder& decoder, const std::filesystem::path& directory);
  // For a decoder that keeps packed weights alone: a new one is loaded beside it, to take its place. `options` and
  // `old` are what the one at work was loaded by, `base` where the weights under its adapters are.
  struct Loaded {
    DecoderOptions options;
    std::filesystem::path old, base;
  };
  static WeightUpdate Load(Decoder& decoder, const Loaded& loaded, const std::filesystem::path& directory);

  // Copies every tensor into the decoder, and packs it again where it is packed. Nothing else may use it meanwhile.
  void Install();

 private:
  struct Change {
    at::Tensor live;
    TensorView stored;
    std::string where;
  };
  static WeightUpdate OpenWhole(Decoder& decoder, const std::filesystem::path& directory);
  static WeightUpdate OpenAdapters(Decoder& decoder, const std::filesystem::path& directory);
  void Add(const at::Tensor& live, const TensorView& stored, const std::string& where);

  explicit WeightUpdate(Decoder& decoder) : decoder_(decoder) {}

  Decoder& decoder_;
  std::optional<Decoder> replacement_;
  // What the views look into.
  std::vector<Checkpoint> checkpoints_;
  std::vector<AdapterFile> adapters_;
  std::vector<Change> changes_;
};

}  // namespace nla::serve
