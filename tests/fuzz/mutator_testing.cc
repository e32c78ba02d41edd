#include "fuzz/mutator_testing.h"

#include <algorithm>
#include <array>

namespace nla {
namespace {

constexpr std::array<uint64_t, 14> kLies = {0,
                                            1,
                                            2,
                                            0x7f,
                                            0xff,
                                            0x7fff,
                                            0xffff,
                                            0x7fffffff,
                                            0xffffffff,
                                            uint64_t{1} << 32,
                                            uint64_t{1} << 40,
                                            uint64_t{1} << 62,
                                            0x7fffffffffffffff,
                                            0xffffffffffffffff};
constexpr std::array<std::string_view, 12> kNumbers = {
    "0", "-1",         "1e999",  "-0.0", "4294967296", "18446744073709551615", "99999999999999999999",
    "1", "2147483648", "1e-400", "NaN",  "65536"};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

std::string Mutator::Mutate(std::string input, std::string_view other) {
  for (uint64_t changes = 1 + Below(8); changes > 0; --changes) Change(input, other);
  if (input.size() > kLongest) input.resize(kLongest);
  return input;
}

void Mutator::Change(std::string& text, std::string_view other) {
  const size_t place = Place(text);
  const size_t length = std::min<size_t>(text.size() - place, 1 + Below(16));
  switch (Below(12)) {
    case 0:  // flip
      if (place < text.size()) text[place] = static_cast<char>(text[place] ^ 1 << Below(8));
      return;
    case 1:  // overwrite
      if (place < text.size()) text[place] = static_cast<char>(Below(256));
      return;
    case 2:  // cut inside
      text.erase(place, length);
      return;
    case 3:  // cut the end
      if (Below(4) == 0) text.resize(place);
      return;
    case 4:  // grow
      text.insert(place, std::string(1 + Below(16), static_cast<char>(Below(256))));
      return;
    case 5: {  // splice
      const size_t begin = Below(other.size() + 1);
      text.insert(place, other.substr(begin, Below(64)));
      return;
    }
    case 6:
    case 7: {  // a token, inserted or written over
      if (dictionary_.empty()) return;
      const std::string_view token = dictionary_[Below(dictionary_.size())];
      if (Below(2) == 0) text.erase(place, token.size());
      text.insert(place, token);
      return;
    }
    case 8:
    case 9:
      return LieAboutLength(text);
    case 10:
      return LieAboutNumber(text);
    default:
      return Repeat(text);
  }
}

// A little-endian integer of 1, 2, 4 or 8 bytes becomes an extreme, or goes up or down a little.
void Mutator::LieAboutLength(std::string& text) {
  const size_t size = size_t{1} << Below(4);
  if (text.size() < size) return;
  const size_t place = Below(text.size() - size + 1);
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i)
    value |= static_cast<uint64_t>(static_cast<unsigned char>(text[place + i])) << 8 * i;
  value = Below(2) == 0 ? kLies[Below(kLies.size())] : value + Below(9) - 4;
  for (size_t i = 0; i < size; ++i) text[place + i] = static_cast<char>(value >> 8 * i);
}

// A run of digits becomes another number.
void Mutator::LieAboutNumber(std::string& text) {
  const auto begin = std::find_if(text.begin() + static_cast<int64_t>(Place(text)), text.end(), IsDigit);
  if (begin == text.end()) return;
  const auto end = std::find_if_not(begin, text.end(), IsDigit);
  text.replace(begin, end, kNumbers[Below(kNumbers.size())]);
}

// A piece many times over: nesting, and lists that are too long.
void Mutator::Repeat(std::string& text) {
  const size_t place = Place(text);
  const std::string piece = text.substr(place, 1 + Below(8));
  std::string many;
  for (uint64_t times = Below(20) == 0 ? Below(3000) : Below(6); times > 0; --times) many += piece;
  text.insert(place, many);
}

}  // namespace nla
