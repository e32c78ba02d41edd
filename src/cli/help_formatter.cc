// Lays the help out in two columns; a left side that is too long gets a line of its own.
#include "cli/help_formatter.h"

#include <fmt/format.h>

#include <sstream>

namespace nla::cli {
namespace {

constexpr size_t kLeftColumn = 30;
constexpr size_t kWidth = 100;

std::string TwoColumns(const std::string& left, const std::string& right) {
  const std::string margin(kLeftColumn, ' ');
  std::string text = "  " + left;
  if (text.size() + 2 > kLeftColumn) {
    text += "\n" + margin;
  } else {
    text.resize(kLeftColumn, ' ');
  }
  size_t column = kLeftColumn;
  std::istringstream words(right);
  for (std::string word; words >> word;) {
    if (column > kLeftColumn && column + 1 + word.size() > kWidth) {
      text += "\n" + margin;
      column = kLeftColumn;
    }
    if (column > kLeftColumn) {
      text += ' ';
      ++column;
    }
    text += word;
    column += word.size();
  }
  return text + "\n";
}

// Names a value's kind instead of the C++ type behind it.
std::string ValueName(const CLI::Option* option) {
  std::string name = option->get_type_name();
  if (name == "UINT" || name == "INT") return "N";
  if (name == "FLOAT") return "X";
  return name;
}

}  // namespace

std::string HelpFormatter::make_usage(const CLI::App* app, std::string name) const {
  return "\n" + CLI::Formatter::make_usage(app, std::move(name));
}

std::string HelpFormatter::make_subcommand(const CLI::App* sub) const {
  return TwoColumns(sub->get_display_name(true), sub->get_description());
}

std::string HelpFormatter::make_option(const CLI::Option* option, bool is_positional) const {
  return TwoColumns(make_option_name(option, is_positional) + make_option_opts(option),
                    option->get_description() + (option->get_default_str().empty() || option->get_type_size() == 0
                                                     ? ""
                                                     : fmt::format(" (default: {})", option->get_default_str())));
}

std::string HelpFormatter::make_option_opts(const CLI::Option* option) const {
  std::string text;
  if (!option->get_option_text().empty()) {
    text += " " + option->get_option_text();
  } else if (option->get_type_size() != 0) {
    const std::string value = ValueName(option);
    if (!value.empty()) text += " " + value;
    if (option->get_expected_max() == CLI::detail::expected_max_vector_size) text += "...";
    if (option->get_required()) text += " (required)";
  }
  return text;
}

}  // namespace nla::cli
