// New weights for a decoder that is at work: checked whole before the first is changed.
#pragma once

#include <filesystem>
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

  // Copies every tensor into the decoder. Nothing else may use it meanwhile.
  void Install() const;

 private:
  struct Change {
    at::Tensor live;
    TensorView stored;
    std::string where;
  };
  static WeightUpdate OpenWhole(Decoder& decoder, const std::filesystem::path& directory);
  static WeightUpdate OpenAdapters(Decoder& decoder, const std::filesystem::path& directory);
  void Add(const at::Tensor& live, const TensorView& stored, const std::string& where);

  // What the views look into.
  std::vector<Checkpoint> checkpoints_;
  std::vector<AdapterFile> adapters_;
  std::vector<Change> changes_;
};

}  // namespace nla::serve
