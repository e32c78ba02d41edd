// The tables of variants, cut to what the processor says and to what computes right.
#include "model/packed/kernel_variants.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <array>

#include "base/log.h"
#include "base/random.h"

namespace nla::packed {
namespace {

// A variant is taken only when it gives the numbers of the one that every processor has: a wrong answer from a
// processor that the tests never met would be a quiet one.
bool Agrees(const Int8Variant& variant) {
  constexpr int64_t kPairs = 5;
  constexpr int64_t kRows = 13;
  alignas(64) std::array<int8_t, kPairs* kPanelOutputs* 2> panel = {};
  std::array<int16_t, kRows* kPairs* 2> rows = {};
  CounterRandom random(1, 0);
  const auto below = [&](uint64_t count) { return static_cast<int64_t>(random.Below(count)); };
  for (int8_t& weight : panel) weight = static_cast<int8_t>(below(255) - 127);
  for (int16_t& input : rows) input = static_cast<int16_t>(below(64001) - 32000);
  std::array<int32_t, kRows* kPanelOutputs> wanted = {};
  std::array<int32_t, kRows* kPanelOutputs> found = {};
  const Int8Job job{panel.data(), kPairs, rows.data(), kPairs * 2, kRows};
  Int8Portable(job, wanted.data());
  variant.run(job, found.data());
  return found == wanted;
}

bool Agrees(const FloatVariant& variant) {
  constexpr int64_t kInputs = 10;
  constexpr int64_t kRows = 13;
  alignas(64) std::array<float, kInputs* kPanelOutputs> floats = {};
  alignas(64) std::array<uint16_t, kInputs* kPanelOutputs> halves = {};
  std::array<float, kRows* kInputs> rows = {};
  CounterRandom random(1, 0);
  const auto below = [&](uint64_t count) { return static_cast<int64_t>(random.Below(count)); };
  for (float& weight : floats) weight = static_cast<float>(below(65536) - 32768) * 0x1p-15F;
  for (uint16_t& weight : halves) weight = static_cast<uint16_t>(0x3c00 + below(1024) + below(2) * 0x8000);
  for (float& input : rows) input = static_cast<float>(below(65536) - 32768) * 0x1p-12F;
  std::array<float, kRows* kPanelOutputs> wanted = {};
  std::array<float, kRows* kPanelOutputs> found = {};
  FloatJob job{floats.data(), kInputs, rows.data(), kInputs, kRows};
  FloatVector8(job, wanted.data(), kPanelOutputs);
  variant.floats(job, found.data(), kPanelOutputs);
  if (found != wanted) return false;
  job.panel = halves.data();
  HalfVector8(job, wanted.data(), kPanelOutputs);
  variant.halves(job, found.data(), kPanelOutputs);
  return found == wanted;
}

// Those of `candidates` that compute right, then the one that every processor has.
template <typename Variant>
std::vector<Variant> Sound(std::vector<Variant> candidates, const Variant& always, const char* what) {
  std::erase_if(candidates, [&](const Variant& variant) {
    if (Agrees(variant)) return false;
    spdlog::warn("the {} kernel of {} weights computes other numbers on this processor and is left out", variant.name,
                 what);
    return true;
  });
  candidates.push_back(always);
  return candidates;
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

std::vector<Int8Variant> FindInt8() {
  std::vector<Int8Variant> variants;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni")) {
    variants.push_back({"AVX-512 VNNI", &Int8Avx512Vnni});
  }
  if (HasAvxVnni()) variants.push_back({"AVX-VNNI", &Int8AvxVnni});
  variants.push_back({"AVX2", &Int8Avx2});
#endif
  return Sound(std::move(variants), {"portable", &Int8Portable}, "8-bit");
}

std::vector<FloatVariant> FindFloat() {
  std::vector<FloatVariant> variants;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) variants.push_back({"AVX-512", &FloatAvx512, &HalfAvx512});
#endif
  return Sound(std::move(variants), {"vector", &FloatVector8, &HalfVector8}, "float");
}

}  // namespace

const std::vector<Int8Variant>& Int8Variants() {
  static const std::vector<Int8Variant> variants = FindInt8();
  return variants;
}

const std::vector<FloatVariant>& FloatVariants() {
  static const std::vector<FloatVariant> variants = FindFloat();
  return variants;
}

}  // namespace nla::packed
