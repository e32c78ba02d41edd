// How commands describe their options. Only command_line.cc, main.cc and help_formatter.cc read CLI11's headers: its
// inline virtual functions cost several seconds in every file that does.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace nla::cli {

// A handle on an option that has been added; copies mean the same option. Each setter returns the handle.
class Option {
 public:
  // Refuses a value: returns what was found and wanted, or nothing.
  using Check = std::function<std::string(const std::string& value)>;

  explicit Option(CLI::Option* option) : option_(option) {}

  Option Required();
  // The word for its value in --help: FILE, N, …
  Option TypeName(const std::string& word);
  // --help shows the value that the target has now.
  Option ShowDefault();
  // The heading it stands under in --help.
  Option Group(const std::string& heading);
  Option Positive();
  Option NotNegative();
  Option Between(int low, int high);
  Option Between(double low, double high);
  Option OneOf(std::initializer_list<std::string> words);
  Option Checked(const std::string& name, Check check);
  // Takes 5GB for 5000000000 too.
  Option ByteSize();
  // Changes the text before it becomes the target's value.
  Option Changed(std::function<void(std::string& value)> change);
  Option NotWith(const Option& other);

  // A list that takes one value each time the option is given, so that a positional may follow.
  Option OneValueEach();

  // Whether the command line had it; to be asked when the command runs.
  bool given() const;

 private:
  CLI::Option* option_;
};

// A handle on a command (or the program, or a group of commands); copies mean the same one.
class Command {
 public:
  explicit Command(CLI::App& app) : app_(&app) {}

  // An option ("--name", "-n,--name") or positional ("NAME") whose value goes to `target`, which must live until the
  // command has run. T is a string, a path, a number, a vector of strings, or a std::optional of a number: those that
  // command_line.cc instantiates.
  template <typename T>
  Option AddOption(const std::string& name, T& target, const std::string& help);
  Option AddFlag(const std::string& name, bool& target, const std::string& help);
  // The option of that name; it must exist.
  Option option(const std::string& name) const;

  Command AddSubcommand(const std::string& name, const std::string& help);
  void RequireSubcommand();
  // The end of its --help, instead of the parent's; and another paragraph for it.
  void SetFooter(const std::string& text);
  void AddToFooter(const std::string& text);
  // What the command does, once its options are parsed.
  void OnRun(std::function<void()> run);

 private:
  CLI::App* app_;
};

}  // namespace nla::cli
