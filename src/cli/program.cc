// The whole command line: every command under one root, and what is said of words that it does not know.
#include "cli/program.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "base/fail.h"
#include "base/fields.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/help_formatter.h"
#include "net/hub.h"

namespace nla::cli {
namespace {

constexpr const char* kDescription =
    R"(nla - natural language autoencoders: what a language model's activation says, in words, and how well.

An activation is the residual stream of a language model after block K at one token. A verbalizer (AV)
writes an explanation of it; a reconstructor (AR) turns the explanation back into a vector; the score says
how much of the activation went through the words.)";

constexpr const char* kFooter =
    R"(Exit codes: 0 done, 1 the work failed (bad file, bad data, remote error), 2 wrong usage.
Results go to stdout, logs and progress to stderr. With --json, stdout is one JSON document, also for errors.
Ctrl-C stops at the next safe point; a second one stops at once.

`nla COMMAND --help` shows a command's options and an example. Start with:
  nla explain --pair demo/pair --text "The ship left the harbour at dawn.")";

// Names a word that the command does not know, and the nearest that it does; returns when there is none.
void RefuseUnknownWords(const CLI::App& app, const std::string& where, const std::string& see_help) {
  const std::vector<std::string> unknown = app.remaining(true);
  if (unknown.empty()) return;
  const std::string& word = unknown.front();
  std::vector<std::string> known;
  std::string kind = "argument";
  if (word.starts_with("-")) {
    kind = "option";
    for (const CLI::Option* option : app.get_options()) {
      for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
    }
  } else if (!app.get_subcommands({}).empty()) {
    kind = "command";
    for (const CLI::App* command : app.get_subcommands({})) known.push_back(command->get_name());
  }
  const std::string nearest = NearestName(known, word.substr(0, word.find('=')));
  FailUsage({.where = where,
             .what = fmt::format("unknown {} \"{}\"", kind, word),
             .mend = nearest.empty() ? see_help : fmt::format("Did you mean \"{}\"?", nearest)});
}

// Turns CLI11's complaint into ours, naming the deepest command that was typed.
[[noreturn]] void FailParse(const CLI::App& root, const CLI::ParseError& error) {
  const CLI::App* app = &root;
  std::string typed;
  while (!app->get_subcommands().empty()) {
    app = app->get_subcommands().front();
    typed += (typed.empty() ? "" : " ") + app->get_name();
  }
  const std::string see_help = fmt::format("See `nla {}{}--help`", typed, typed.empty() ? "" : " ");
  RefuseUnknownWords(*app, typed, see_help);
  std::string what = error.what();
  if (what.ends_with('.')) what.pop_back();
  FailUsage({.where = typed, .what = what, .mend = see_help});
}

void SetUp(const CommonOptions& common) {
  SetUpLogging(common.log_level);
  InstallInterruptHandler();
  if (common.threads > 0) at::set_num_threads(common.threads);
}

std::unique_ptr<CLI::App> MakeProgram(CommonOptions& common) {
  auto root = std::make_unique<CLI::App>(kDescription, "nla");
  root->formatter(std::make_shared<HelpFormatter>());
  root->set_help_flag("-h,--help", "show this help");
  root->set_version_flag("--version", "nla " NLA_VERSION, "show the version");
  root->footer(kFooter);
  root->require_subcommand(1);
  root->parse_complete_callback([&common] { SetUp(common); });
  for (const CommandGroup& group : CommandGroups()) {
    for (const AddFunction add : group.commands) {
      const size_t before = root->get_subcommands({}).size();
      add(Command(*root), common);
      const std::vector<CLI::App*> all = root->get_subcommands({});
      for (size_t i = before; i < all.size(); ++i) all[i]->group(group.title);
    }
  }
  return root;
}

void FlushResults() {
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    Fail({.where = "stdout", .what = fmt::format("cannot write the results: {}", std::strerror(errno))});
  }
}

// Nothing runs when its words are parsed.
void ForgetCallbacks(CLI::App& app) {
  app.callback({});
  app.parse_complete_callback({});
  for (CLI::App* command : app.get_subcommands({})) ForgetCallbacks(*command);
}

// CLI11 takes the words last first.
void Parse(CLI::App& root, const std::vector<std::string>& words) {
  try {
    root.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::Success& wanted) {
    root.exit(wanted);
  } catch (const CLI::ParseError& error) {
    FailParse(root, error);
  }
}

}  // namespace

void ParseAndRun(const std::vector<std::string>& arguments, CommonOptions& common) {
  const std::unique_ptr<CLI::App> root = MakeProgram(common);
  if (arguments.empty()) {
    fmt::print(stderr, "{}", root->help());
    FailUsage({.what = "no command given"});
  }
  Parse(*root, arguments);
  FlushResults();
}

void CheckCommandLine(std::vector<std::string> words) {
  // Names of the hub would be looked up.
  for (std::string& word : words) {
    if (IsHubName(word)) word = "model";
  }
  CommonOptions unused;
  const std::unique_ptr<CLI::App> root = MakeProgram(unused);
  ForgetCallbacks(*root);
  Parse(*root, words);
}

}  // namespace nla::cli
