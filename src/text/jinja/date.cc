// Calendar arithmetic and strftime.
#include "text/jinja/date.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <chrono>

namespace nla::jinja {
namespace {

constexpr std::array<std::string_view, 12> kMonths = {"January",   "February", "March",    "April",
                                                      "May",       "June",     "July",     "August",
                                                      "September", "October",  "November", "December"};
constexpr std::array<std::string_view, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};

std::chrono::year_month_day Calendar(const Date& date) {
  return {std::chrono::year(date.year), std::chrono::month(static_cast<unsigned>(date.month)),
          std::chrono::day(static_cast<unsigned>(date.day))};
}

unsigned WeekDay(const Date& date) { return std::chrono::weekday(std::chrono::sys_days(Calendar(date))).c_encoding(); }

int DayOfYear(const Date& date) {
  const std::chrono::sys_days first =
      std::chrono::year_month_day(std::chrono::year(date.year), std::chrono::January, std::chrono::day(1));
  return static_cast<int>((std::chrono::sys_days(Calendar(date)) - first).count()) + 1;
}

bool ReadNumber(std::string_view text, int& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && text[0] != '-';
}

// `padded` off: %-d and its like.
std::optional<std::string> Convert(const Date& date, char conversion, bool padded) {
  const auto number = [&](int value, int width) { return fmt::format("{:0{}}", value, padded ? width : 1); };
  const std::string_view month = kMonths[static_cast<size_t>(date.month - 1)];
  const std::string_view day = kDays[WeekDay(date)];
  switch (conversion) {
    case 'Y':
      return fmt::format("{}", date.year);
    case 'y':
      return number(date.year % 100, 2);
    case 'm':
      return number(date.month, 2);
    case 'd':
      return number(date.day, 2);
    case 'e':
      return padded ? fmt::format("{:2}", date.day) : fmt::format("{}", date.day);
    case 'j':
      return number(DayOfYear(date), 3);
    case 'B':
      return std::string(month);
    case 'b':
    case 'h':
      return std::string(month.substr(0, 3));
    case 'A':
      return std::string(day);
    case 'a':
      return std::string(day.substr(0, 3));
    case 'w':
      return fmt::format("{}", WeekDay(date));
    case 'u':
      return fmt::format("{}", WeekDay(date) == 0 ? 7 : WeekDay(date));
    case 'F':
      return fmt::format("{}-{:02}-{:02}", date.year, date.month, date.day);
    case 'D':
    case 'x':
      return fmt::format("{:02}/{:02}/{:02}", date.month, date.day, date.year % 100);
    case 'H':
    case 'M':
    case 'S':
      return number(0, 2);
    case 'I':
      return number(12, 2);
    case 'p':
      return "AM";
    case 'T':
    case 'X':
      return "00:00:00";
    case 'R':
      return "00:00";
    case 'f':
      return "000000";
    case 'Z':
    case 'z':
      return "";
    case 'n':
      return "\n";
    case 't':
      return "\t";
    case '%':
      return "%";
    default:
      return std::nullopt;
  }
}

}  // namespace

std::optional<Date> ParseDate(std::string_view text) {
  Date date;
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  if (!ReadNumber(text.substr(0, 4), date.year) || !ReadNumber(text.substr(5, 2), date.month) ||
      !ReadNumber(text.substr(8, 2), date.day)) {
    return std::nullopt;
  }
  if (date.year < 1 || !Calendar(date).ok()) return std::nullopt;
  return date;
}

std::string FormatDate(const Date& date) { return fmt::format("{:04}-{:02}-{:02}", date.year, date.month, date.day); }

std::optional<std::string> FormatTime(const Date& date, std::string_view format, std::string& problem) {
  std::string made;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      made.push_back(format[i]);
      continue;
    }
    const size_t begin = i++;
    const bool padded = i >= format.size() || format[i] != '-';
    if (!padded) ++i;
    const auto converted = i < format.size() ? Convert(date, format[i], padded) : std::nullopt;
    if (!converted) {
      problem = format.substr(begin, 3);
      return std::nullopt;
    }
    made += *converted;
  }
  return made;
}

}  // namespace nla::jinja
