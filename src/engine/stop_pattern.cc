// PCRE2's interpreter with a callout before each item of the pattern, which counts: its own match limit begins anew at
// every place of the text, so that a pattern could stay below it and still take minutes.
#include "engine/stop_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <new>
#include <utility>

#include "base/fail.h"

namespace nla {
namespace {

constexpr int64_t kMostSteps = 200'000;  // of one search: milliseconds
constexpr int64_t kBytesAStep = 64;      // that an item like .* may run over between two callouts
constexpr uint32_t kMostHeap = 4 << 10;  // KiB, for backtracking

// Deletes what PCRE2 made.
struct PcreDeleter {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};

// An item may be followed by a run to the text's end.
int OnCallout(pcre2_callout_block* block, void* user) {
  auto& left = *static_cast<int64_t*>(user);
  left -= 1 + static_cast<int64_t>(block->subject_length - block->current_position) / kBytesAStep;
  return left < 0 ? PCRE2_ERROR_CALLOUT : 0;
}

std::string ReasonOf(int error) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(error, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

}  // namespace

struct StopPattern::Compiled {
  std::unique_ptr<pcre2_code, PcreDeleter> code;
};

StopPattern::StopPattern(std::string pattern, const std::string& where)
    : pattern_(std::move(pattern)), compiled_(std::make_unique<Compiled>()) {
  if (pattern_.size() > kLongestStopPattern) {
    FailUsage({.where = where,
               .what = "is too long a pattern",
               .found = fmt::format("{} bytes", pattern_.size()),
               .wanted = fmt::format("at most {}", kLongestStopPattern)});
  }
  if (pattern_.empty()) FailUsage({.where = where, .what = "holds an empty pattern"});
  int error = 0;
  PCRE2_SIZE place = 0;
  // Classes like \w and \d are Unicode's, as in Python's re.
  constexpr uint32_t kOptions =
      PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT;
  compiled_->code.reset(
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern_.data()), pattern_.size(), kOptions, &error, &place, nullptr));
  if (compiled_->code != nullptr) return;
  FailUsage({.where = where,
             .what = fmt::format("is not a pattern: {} (at byte {})", ReasonOf(error), place),
             .found = pattern_});
}

StopPattern::~StopPattern() = default;

StopPattern::Found StopPattern::Search(std::string_view text, size_t first) const {
  const std::unique_ptr<pcre2_match_data, PcreDeleter> data(
      pcre2_match_data_create_from_pattern(compiled_->code.get(), nullptr));
  const std::unique_ptr<pcre2_match_context, PcreDeleter> context(pcre2_match_context_create(nullptr));
  if (data == nullptr || context == nullptr) throw std::bad_alloc();
  int64_t left = kMostSteps;
  pcre2_set_callout(context.get(), &OnCallout, &left);
  pcre2_set_match_limit(context.get(), static_cast<uint32_t>(kMostSteps));
  pcre2_set_heap_limit(context.get(), kMostHeap);
  const int result = pcre2_match(compiled_->code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), first,
                                 PCRE2_PARTIAL_SOFT, data.get(), context.get());
  if (result == PCRE2_ERROR_NOMATCH) return {};
  if (result < 0 && result != PCRE2_ERROR_PARTIAL) return {.verdict = Verdict::kTooHard};
  const PCRE2_SIZE* const ends = pcre2_get_ovector_pointer(data.get());
  // \K can put the beginning behind the end, or both outside of what was asked for.
  const size_t begin = std::clamp(std::min(ends[0], ends[1]), first, text.size());
  return {.verdict = result == PCRE2_ERROR_PARTIAL ? Verdict::kBegun : Verdict::kMatched,
          .begin = begin,
          .end = std::clamp(std::max(ends[0], ends[1]), begin, text.size())};
}

}  // namespace nla
