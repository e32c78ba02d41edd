// The table of variants, cut to what the processor says and to what computes right.
#include "model/packed/int8_variants.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <array>

#include "base/log.h"

namespace nla::packed {
namespace {

// A variant is taken only when it gives the portable one's integers: a wrong answer from a processor that the tests
// never met would be a quiet one.
bool Agrees(Int8Kernel kernel) {
  constexpr int64_t kPairs = 5;
  constexpr int64_t kRows = 13;
  alignas(64) std::array<int8_t, kPairs* kPanelOutputs* 2> panel = {};
  alignas(64) std::array<int16_t, kRows* kPairs* 2> rows = {};
  uint32_t state = 1;
  const auto next = [&state] { return (state = state * 1664525U + 1013904223U) >> 16; };
  for (int8_t& weight : panel) weight = static_cast<int8_t>(static_cast<int>(next() % 255) - 127);
  for (int16_t& input : rows) input = static_cast<int16_t>(static_cast<int>(next() % 64001) - 32000);
  std::array<int32_t, kRows* kPanelOutputs> wanted = {};
  std::array<int32_t, kRows* kPanelOutputs> found = {};
  const Int8Job job{panel.data(), kPairs, rows.data(), kPairs * 2, kRows};
  Int8Portable(job, wanted.data());
  kernel(job, found.data());
  return found == wanted;
}

#if defined(__x86_64__)
// Leaf 7.1 of cpuid; clang knows no name for it yet. The program needs AVX2 anyway, so that the system keeps its
// registers.
bool HasAvxVnni() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a >> 4 & 1) != 0;
}
#endif

std::vector<Int8Variant> Find() {
  std::vector<Int8Variant> variants;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni")) {
    variants.push_back({"AVX-512 VNNI", &Int8Avx512Vnni});
  }
  if (HasAvxVnni()) variants.push_back({"AVX-VNNI", &Int8AvxVnni});
  variants.push_back({"AVX2", &Int8Avx2});
#endif
  std::erase_if(variants, [](const Int8Variant& variant) {
    if (Agrees(variant.run)) return false;
    spdlog::warn("the {} kernel of 8-bit weights computes wrong numbers on this processor and is left out",
                 variant.name);
    return true;
  });
  variants.push_back({"portable", &Int8Portable});
  return variants;
}

}  // namespace

const std::vector<Int8Variant>& Int8Variants() {
  static const std::vector<Int8Variant> variants = Find();
  return variants;
}

}  // namespace nla::packed
