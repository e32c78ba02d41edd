// Lays the help out in two columns; a left side that is too long gets a line of its own.
#include "cli/help_formatter.h"

#include <fmt/format.h>

#include <algorithm>
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

// "a|b" for a choice, else a word that says the kind of value. CLI11 gives "TYPE:VALIDATOR", and "TYPE:{a,b}" for
// choices.
std::string ValueName(const CLI::Option* option) {
  const std::string name = option->get_type_name();
  const size_t open = name.find('{');
  if (open != std::string::npos && name.back() == '}') {
    std::string choices = name.substr(open + 1, name.size() - open - 2);
    std::replace(choices.begin(), choices.end(), ',', '|');
    return choices;
  }
  const std::string kind = name.substr(0, name.find(':'));
  if (kind == "UINT" || kind == "INT") return "N";
  return kind == "FLOAT" ? "X" : kind;
}

}  // namespace

HelpFormatter::HelpFormatter() {
  label("SUBCOMMAND", "COMMAND");
  label("Positionals", "Arguments");
}

std::string HelpFormatter::make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const {
  std::string help = CLI::Formatter::make_help(app, std::move(name), mode);
  for (size_t gap = help.find("\n\n\n"); gap != std::string::npos; gap = help.find("\n\n\n", gap)) help.erase(gap, 1);
  return help;
}

std::string HelpFormatter::make_usage(const CLI::App* app, std::string name) const {
  return "\n" + CLI::Formatter::make_usage(app, std::move(name));
}

std::string HelpFormatter::make_subcommand(const CLI::App* sub) const {
  return TwoColumns(sub->get_display_name(true), sub->get_description());
}

std::string HelpFormatter::make_option(const CLI::Option* option, bool is_positional) const {
  std::string description = option->get_description();
  const bool takes_value = option->get_type_size() != 0;
  if (takes_value && !option->get_default_str().empty()) {
    description += fmt::format(" (default: {})", option->get_default_str());
  }
  return TwoColumns(make_option_name(option, is_positional) + make_option_opts(option), description);
}

std::string HelpFormatter::make_option_opts(const CLI::Option* option) const {
  if (!option->get_option_text().empty()) return " " + option->get_option_text();
  if (option->get_type_size() == 0) return {};
  std::string text;
  // A positional's own name says what it is; only options need a word for their value.
  if (!option->get_positional()) text += " " + ValueName(option);
  if (option->get_expected_max() == CLI::detail::expected_max_vector_size) text += "...";
  if (option->get_required()) text += " (required)";
  return text;
}

}  // namespace nla::cli
