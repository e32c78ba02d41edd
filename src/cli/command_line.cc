// CLI11 behind the handles that commands use.
#include "cli/command_line.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

namespace nla::cli {
namespace {

// CLI11's own messages spell out the largest double.
CLI::Validator NumberCheck(bool (*good)(double), const std::string& wanted) {
  const auto check = [good, wanted](const std::string& text) {
    double value = 0;
    const bool number = CLI::detail::lexical_cast(text, value);
    return number && good(value) ? std::string() : "found \"" + text + "\", wanted " + wanted;
  };
  return CLI::Validator(check, "", "number");
}

}  // namespace

Option Option::Required() {
  option_->required();
  return *this;
}

Option Option::TypeName(const std::string& word) {
  option_->type_name(word);
  return *this;
}

Option Option::ShowDefault() {
  option_->capture_default_str();
  return *this;
}

Option Option::Group(const std::string& heading) {
  option_->group(heading);
  return *this;
}

Option Option::Positive() {
  option_->check(NumberCheck([](double x) { return x > 0; }, "a number above 0"));
  return *this;
}

Option Option::NotNegative() {
  option_->check(NumberCheck([](double x) { return x >= 0; }, "a number from 0"));
  return *this;
}

Option Option::Between(int low, int high) {
  option_->check(CLI::Range(low, high));
  return *this;
}

Option Option::Between(double low, double high) {
  option_->check(CLI::Range(low, high));
  return *this;
}

Option Option::OneOf(std::initializer_list<std::string> words) {
  option_->check(CLI::IsMember(std::vector<std::string>(words)));
  return *this;
}

Option Option::Checked(const std::string& name, Check check) {
  option_->check(
      CLI::Validator([check = std::move(check)](const std::string& value) { return check(value); }, "", name));
  return *this;
}

Option Option::ByteSize() {
  option_->transform(CLI::AsSizeValue(true));
  return *this;
}

Option Option::Changed(std::function<void(std::string&)> change) {
  option_->transform(CLI::Validator(
      [change = std::move(change)](std::string& value) {
        change(value);
        return std::string();
      },
      ""));
  return *this;
}

Option Option::NotWith(const Option& other) {
  option_->excludes(other.option_);
  return *this;
}

Option Option::OneValueEach() {
  option_->allow_extra_args(false);
  return *this;
}

bool Option::given() const { return option_->count() > 0; }

template <typename T>
Option Command::AddOption(const std::string& name, T& target, const std::string& help) {
  return Option(app_->add_option(name, target, help));
}

template Option Command::AddOption(const std::string&, bool&, const std::string&);
template Option Command::AddOption(const std::string&, int&, const std::string&);
template Option Command::AddOption(const std::string&, int64_t&, const std::string&);
template Option Command::AddOption(const std::string&, uint64_t&, const std::string&);
template Option Command::AddOption(const std::string&, float&, const std::string&);
template Option Command::AddOption(const std::string&, double&, const std::string&);
template Option Command::AddOption(const std::string&, std::string&, const std::string&);
template Option Command::AddOption(const std::string&, std::filesystem::path&, const std::string&);
template Option Command::AddOption(const std::string&, std::vector<std::string>&, const std::string&);
template Option Command::AddOption(const std::string&, std::vector<std::filesystem::path>&, const std::string&);
template Option Command::AddOption(const std::string&, std::optional<int64_t>&, const std::string&);
template Option Command::AddOption(const std::string&, std::optional<double>&, const std::string&);

Option Command::AddFlag(const std::string& name, bool& target, const std::string& help) {
  return Option(app_->add_flag(name, target, help));
}

Option Command::option(const std::string& name) const { return Option(app_->get_option(name)); }

Command Command::AddSubcommand(const std::string& name, const std::string& help) {
  return Command(*app_->add_subcommand(name, help));
}

void Command::RequireSubcommand() { app_->require_subcommand(1); }

void Command::SetFooter(const std::string& text) { app_->footer(text); }

void Command::AddToFooter(const std::string& text) { app_->footer(app_->get_footer() + "\n\n" + text); }

void Command::OnRun(std::function<void()> run) { app_->callback(std::move(run)); }

}  // namespace nla::cli
