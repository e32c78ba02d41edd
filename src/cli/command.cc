// The options that every subcommand shares, and the one way to print a JSON result.
#include "cli/command.h"

#include <cstdio>

#include "base/ascii.h"
#include "net/hub.h"

namespace nla::cli {
namespace {

constexpr const char* kGroup = "Options of every command";

// CLI11 would take -1 for a large unsigned number.
std::string CheckCount(const std::string& text) {
  const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
  return digits ? std::string() : "found \"" + text + "\", wanted a whole number from 0";
}

std::string CheckDevice(const std::string& device) {
  if (device == "cpu" || device == "cuda") return {};
  const std::string prefix = "cuda:";
  const bool indexed = device.starts_with(prefix) && device.size() > prefix.size() &&
                       device.find_first_not_of("0123456789", prefix.size()) == std::string::npos;
  return indexed ? std::string() : "found \"" + device + "\", wanted cpu, cuda or cuda:N";
}

}  // namespace

Command AddCommand(Command root, CommonOptions& common, const std::string& name, const std::string& summary,
                   const std::string& example) {
  std::string sentence = summary;
  if (!sentence.empty()) sentence[0] = AsciiUpper(sentence[0]);
  Command command = root.AddSubcommand(name, sentence);
  command.AddOption("--threads", common.threads, "processor threads; 0 takes all cores")
      .Checked("count", CheckCount)
      .TypeName("N")
      .ShowDefault()
      .Group(kGroup);
  command.AddOption("--device", common.device, "where tensors live: cpu, cuda or cuda:N")
      .Checked("device", CheckDevice)
      .TypeName("DEVICE")
      .ShowDefault()
      .Group(kGroup);
  command
      .AddOption("--dtype", common.dtype,
                 "number type of the heavy arithmetic; auto takes bf16 where the hardware has it")
      .OneOf({"auto", "fp32", "bf16"})
      .TypeName("TYPE")
      .ShowDefault()
      .Group(kGroup);
  command.AddOption("--seed", common.seed, "seed of every random choice")
      .Checked("count", CheckCount)
      .TypeName("N")
      .ShowDefault()
      .Group(kGroup);
  command.AddOption("--log-level", common.log_level, "what goes to stderr; progress is shown up to info")
      .OneOf({"debug", "info", "warn", "error", "off"})
      .TypeName("LEVEL")
      .ShowDefault()
      .Group(kGroup);
  command.AddFlag("--json", common.json, "print one JSON document on stdout and nothing else there").Group(kGroup);
  if (!example.empty()) command.SetFooter("Example:\n  " + example);
  return command;
}

void AcceptHubName(Option option) {
  option.Changed([](std::string& text) {
    if (IsHubName(text)) text = ResolveModel(text).string();
  });
}

void PrintJson(const nlohmann::ordered_json& document) {
  // Model output can hold a cut UTF-8 sequence: it becomes U+FFFD instead of an exception.
  const std::string text = document.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fputc('\n', stdout);
}

}  // namespace nla::cli
