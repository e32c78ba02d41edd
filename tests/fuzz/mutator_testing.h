// A deterministic mutator: the same seed changes the same input the same way on every machine. It knows nothing of
// coverage (libFuzzer does; tools/fuzz.sh uses both), but much of formats: lengths that lie, numbers in text that lie,
// tokens of the format, nesting, splices.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/random.h"

namespace nla {

class Mutator {
 public:
  // `dictionary` is borrowed.
  Mutator(uint64_t seed, std::span<const std::string_view> dictionary) : random_(seed, 0), dictionary_(dictionary) {}

  // `input` after one to eight changes; `other` is what may be spliced in. At most kLongest bytes.
  std::string Mutate(std::string input, std::string_view other);
  uint64_t Below(uint64_t bound) { return random_.Below(bound); }

  static constexpr size_t kLongest = size_t{1} << 16;

 private:
  void Change(std::string& text, std::string_view other);
  void LieAboutLength(std::string& text);
  void LieAboutNumber(std::string& text);
  void Repeat(std::string& text);
  // A place in the text, its end included.
  size_t Place(const std::string& text) { return random_.Below(text.size() + 1); }

  CounterRandom random_;
  std::span<const std::string_view> dictionary_;
};

}  // namespace nla
