// The day a rendering takes for today.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace nla::jinja {

struct Date {
  int year = 2024;
  int month = 7;  // 1..12
  int day = 26;
  bool operator==(const Date&) const = default;
};

// YYYY-MM-DD; nothing when it is no day of the years 1..9999.
std::optional<Date> ParseDate(std::string_view text);
std::string FormatDate(const Date& date);

// Python's strftime at midnight, in English; nothing, and the conversion in `problem`, when one is not supported.
std::optional<std::string> FormatTime(const Date& date, std::string_view format, std::string& problem);

}  // namespace nla::jinja
