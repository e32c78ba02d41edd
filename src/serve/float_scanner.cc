// Numbers that nearest_float.h cannot tell, of more than 19 digits or with an unusual exponent are left to
// std::from_chars. Long arrays are read by several threads, each from a row's bracket on: what a number is does not
// depend on what stands before its row.
#include "serve/float_scanner.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <future>
#include <optional>
#include <system_error>
#include <thread>

#include "base/fail.h"
#include "serve/nearest_float.h"

namespace nla::serve {
namespace {

bool IsDigit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

// Eight digits, first one lowest, each as its value.
uint32_t ValueOfEight(uint64_t digits) {
  digits = digits * 2561 >> 8;
  digits = (digits & 0x00ff00ff00ff00ffU) * 6553601 >> 16;
  return static_cast<uint32_t>((digits & 0x0000ffff0000ffffU) * 42949672960001 >> 32);
}

// A run of digits added to `value`, which wraps beyond 19 of them (the caller counts).
struct Run {
  uint64_t value = 0;
  const char* end = nullptr;
};

inline Run ReadDigits(const char* p, const char* end, uint64_t value) {
  static constexpr std::array<uint32_t, 8> kPowers{1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};
  while (end - p >= 8) {
    uint64_t bytes;
    std::memcpy(&bytes, p, 8);
    bytes ^= 0x3030303030303030U;
    // The top bit of every byte that is no digit.
    const uint64_t others = (((bytes & 0x7f7f7f7f7f7f7f7fU) + 0x7676767676767676U) | bytes) & 0x8080808080808080U;
    if (others == 0) {
      value = value * 100000000 + ValueOfEight(bytes);
      p += 8;
      continue;
    }
    const int count = std::countr_zero(others) / 8;
    if (count == 0) return {value, p};
    return {value * kPowers[count] + ValueOfEight(bytes << (64 - 8 * count)), p + count};
  }
  while (p != end && IsDigit(*p)) value = value * 10 + static_cast<uint64_t>(*p++ - '0');
  return {value, p};
}

ScannedFloat Slowly(const char* begin, const char* end) {
  ScannedFloat result;
  result.end = end;
  const auto [stop, error] = std::from_chars(begin, end, result.value);
  if (error == std::errc::result_out_of_range) {
    // Too small becomes zero, as strtof has it; too large is a fault. The standard does not say which it was.
    const double wide = std::strtod(std::string(begin, end).c_str(), nullptr);
    if (std::abs(wide) < 1) {
      result.value = std::signbit(wide) ? -0.0F : 0.0F;
      // Between zero and the least float: strtof knows which is nearer.
      if (wide != 0) result.value = std::strtof(std::string(begin, end).c_str(), nullptr);
      return result;
    }
    result.fault = ScannedFloat::Fault::kOutOfRange;
  } else if (error != std::errc() || stop != end) {
    result.fault = ScannedFloat::Fault::kNotANumber;
  }
  return result;
}

constexpr ScannedFloat NotANumber(const char* at) { return {0, ScannedFloat::Fault::kNotANumber, at}; }

// What ScanFloat does, where it can be part of the loop over an array.
inline ScannedFloat Number(const char* begin, const char* end) {
  const char* p = begin;
  if (p == end) return NotANumber(begin);
  const auto negative = static_cast<uint32_t>(*p == '-');  // without a branch: half of the numbers are
  p += negative;
  const char* const whole = p;
  // Mostly one digit and a point.
  const bool one = end - p >= 2 && p[1] == '.' && IsDigit(*p);
  Run run = one ? Run{static_cast<uint64_t>(*p - '0'), p + 1} : ReadDigits(p, end, 0);
  int64_t digits = run.end - whole;
  if (digits == 0 || (digits > 1 && *whole == '0')) return NotANumber(begin);
  p = run.end;
  int64_t power = 0;
  if (p != end && *p == '.') {
    const char* const fraction = ++p;
    run = ReadDigits(p, end, run.value);
    power = fraction - run.end;
    if (power == 0) return NotANumber(begin);
    digits -= power;
    p = run.end;
  }
  if (*whole == '0') --digits;
  bool usual = digits <= 19;
  if (!usual) {  // zeros in front count for nothing
    const char* first = whole;
    while (first != p && (*first == '0' || *first == '.')) ++first;
    usual = (p - first) - (std::memchr(first, '.', static_cast<size_t>(p - first)) != nullptr ? 1 : 0) <= 19;
  }
  if (p != end && (*p == 'e' || *p == 'E')) {
    ++p;
    const bool minus = p != end && *p == '-';
    if (p != end && (*p == '-' || *p == '+')) ++p;
    const char* const first = p;
    const Run exponent = ReadDigits(p, end, 0);
    if (exponent.end == first) return NotANumber(begin);
    p = exponent.end;
    if (p - first > 4) {
      usual = false;
    } else {
      power += minus ? -static_cast<int64_t>(exponent.value) : static_cast<int64_t>(exponent.value);
    }
  }
  if (usual) {
    const float value = run.value == 0 ? 0.0F : NearestFloat(run.value, static_cast<int>(power));
    if (!std::isnan(value))
      return {std::bit_cast<float>(std::bit_cast<uint32_t>(value) | negative << 31), ScannedFloat::Fault::kNone, p};
  }
  return Slowly(begin, p);
}

// White space of JSON.
inline const char* PastSpace(const char* p, const char* end) {
  if (p != end && *p > ' ') return p;
  while (p != end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) ++p;
  return p;
}

// Appends the numbers of the array whose bracket is at `p`; returns what is behind it, or nullptr where it holds
// anything else, or nothing.
const char* AppendRow(const char* p, const char* end, std::vector<float>& values) {
  do {
    const ScannedFloat number = Number(PastSpace(p + 1, end), end);
    if (number.fault != ScannedFloat::Fault::kNone) return nullptr;
    values.push_back(number.value);
    p = PastSpace(number.end, end);
  } while (p != end && *p == ',');
  return p != end && *p == ']' ? p + 1 : nullptr;
}

// A run of whole arrays of numbers with commas between them.
struct Rows {
  std::vector<float> values;
  std::vector<int64_t> lengths;
  const char* end = nullptr;  // behind the last of them
};

// Those from the bracket at `begin` on that begin before `stop`, up to the first that is anything else.
Rows ReadRows(const char* begin, const char* stop, const char* end) {
  Rows rows;
  rows.values.reserve(static_cast<size_t>(stop - begin) / 12);
  rows.end = begin;
  for (const char* p = begin; p != end && p < stop && *p == '[';) {
    const size_t before = rows.values.size();
    const char* const behind = AppendRow(p, end, rows.values);
    if (behind == nullptr) {
      rows.values.resize(before);
      break;
    }
    rows.lengths.push_back(static_cast<int64_t>(rows.values.size() - before));
    rows.end = behind;
    p = PastSpace(behind, end);
    if (p == end || *p != ',') break;
    p = PastSpace(p + 1, end);
  }
  return rows;
}

// Rows further on in a text, which other threads read while the first one comes nearer.
class RowsAhead {
 public:
  RowsAhead(const char* begin, const char* end) {
    const auto threads = std::min<size_t>(kMostThreads, std::max(1U, std::thread::hardware_concurrency()));
    const auto bytes = static_cast<size_t>(end - begin);
    const size_t parts = std::min(threads, bytes / kWorthAThread);
    std::vector<const char*> begins;
    for (size_t i = 1; i < parts; ++i) {
      const char* const row = RowAfter(begin + bytes / parts * i, end);
      if (row != end && (begins.empty() || row > begins.back())) begins.push_back(row);
    }
    for (size_t i = 0; i < begins.size(); ++i) {
      const char* const stop = i + 1 < begins.size() ? begins[i + 1] : end;
      try {
        parts_.push_back({begins[i], std::async(std::launch::async, ReadRows, begins[i], stop, end)});
      } catch (const std::system_error&) {
        return;  // no thread to be had: then without
      }
    }
  }

  // Those that begin at `p`, if any do. To be asked at every row, in their order.
  std::optional<Rows> At(const char* p) {
    while (next_ < parts_.size() && parts_[next_].begin < p) ++next_;
    if (next_ == parts_.size() || parts_[next_].begin != p) return std::nullopt;
    Rows rows = parts_[next_++].rows.get();
    return rows.lengths.empty() ? std::nullopt : std::optional(std::move(rows));
  }

 private:
  static constexpr size_t kMostThreads = 4;
  static constexpr size_t kWorthAThread = size_t{512} << 10;  // bytes

  struct Part {
    const char* begin;
    std::future<Rows> rows;
  };

  // The next bracket that opens an array of numbers, or `end`.
  static const char* RowAfter(const char* p, const char* end) {
    while ((p = std::find(p, end, '[')) != end) {
      const char* const first = PastSpace(p + 1, end);
      if (first != end && *first != '[') return p;
      ++p;
    }
    return end;
  }

  std::vector<Part> parts_;
  size_t next_ = 0;
};

class ArrayScanner {
 public:
  ArrayScanner(std::string_view text, size_t begin, const std::string& field)
      : text_(text), p_(text.data() + begin), end_(text.data() + text.size()), field_(field), ahead_(p_, end_) {}

  ScannedArray Scan() {
    floats_.values.reserve(static_cast<size_t>(end_ - p_) / 12);  // less than most bodies need, and more than none
    ReadArray(0);
    floats_.lengths.resize(floats_.depth);
    return {std::move(floats_), Place()};
  }

 private:
  void ReadArray(int level) {
    if (level == kMostDepth) Fail("is nested too deep", "at most " + std::to_string(kMostDepth) + " brackets");
    if (static_cast<int>(floats_.lengths.size()) <= level) floats_.lengths.resize(level + 1);
    ++p_;  // '['
    int64_t count = 0;
    SkipSpace();
    if (p_ != end_ && *p_ == ']') {
      if (floats_.depth == 0) floats_.depth = level + 1;
    } else {
      for (;; ++p_) {
        SkipSpace();
        count += ReadElements(level);
        SkipSpace();
        if (p_ == end_) Fail("ends inside an array", "]");
        if (*p_ == ']') break;
        if (*p_ != ',') Fail("is not an array of numbers", "a comma or ]");
      }
    }
    ++p_;  // ']'
    floats_.lengths[level].push_back(count);
  }

  // One of them, or all that were read ahead; returns how many.
  int64_t ReadElements(int level) {
    if (p_ != end_ && *p_ == '[') {
      if (floats_.depth == level + 1) Fail("mixes numbers and arrays", "a number");
      if (floats_.depth == level + 2) {
        if (const std::optional<Rows> rows = ahead_.At(p_)) return Take(*rows, level + 1);
      }
      ReadArray(level + 1);
      return 1;
    }
    const ScannedFloat number = Number(p_, end_);
    if (number.fault == ScannedFloat::Fault::kOutOfRange) Fail("does not fit fp32", "a number below 3.4e38");
    if (number.fault != ScannedFloat::Fault::kNone) Fail("is not an array of numbers", "a finite number");
    if (floats_.depth == 0) floats_.depth = level + 1;
    if (floats_.depth != level + 1) Fail("mixes numbers and arrays", "an array");
    floats_.values.push_back(number.value);
    p_ = number.end;
    return 1;
  }

  int64_t Take(const Rows& rows, int level) {
    floats_.values.insert(floats_.values.end(), rows.values.begin(), rows.values.end());
    std::vector<int64_t>& lengths = floats_.lengths[level];
    lengths.insert(lengths.end(), rows.lengths.begin(), rows.lengths.end());
    p_ = rows.end;
    return static_cast<int64_t>(rows.lengths.size());
  }

  void SkipSpace() { p_ = PastSpace(p_, end_); }

  size_t Place() const { return static_cast<size_t>(p_ - text_.data()); }

  [[noreturn]] void Fail(const std::string& what, const std::string& wanted) const {
    const std::string_view found = text_.substr(Place(), 24);
    FailUsage({.where = field_,
               .what = fmt::format("{} (byte {} of the body)", what, Place()),
               .found = found.empty() ? "the end" : fmt::format("\"{}\"", found.substr(0, found.find_first_of("\r\n"))),
               .wanted = wanted});
  }

  std::string_view text_;
  const char* p_;
  const char* end_;
  const std::string& field_;
  NestedFloats floats_;
  RowsAhead ahead_;
};

}  // namespace

ScannedFloat ScanFloat(const char* begin, const char* end) { return Number(begin, end); }

ScannedArray ScanFloatArray(std::string_view text, size_t begin, const std::string& field) {
  NLA_CHECK(begin < text.size() && text[begin] == '[');
  return ArrayScanner(text, begin, field).Scan();
}

}  // namespace nla::serve
