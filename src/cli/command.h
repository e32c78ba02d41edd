// How a subcommand plugs into the program: each file of this folder defines one Add… function, listed in commands.cc.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/command_line.h"

namespace nla::cli {

// Options that mean the same everywhere. Filled before a command runs.
struct CommonOptions {
  int threads = 0;  // 0: all cores
  std::string device = "cpu";
  std::string dtype = "auto";  // auto | fp32 | bf16; auto takes bf16 where the processor has it in hardware
  uint64_t seed = 0;
  std::string log_level = "info";
  bool json = false;  // one JSON document on stdout, nothing else there
  // What the program ends with: set to 1 by a command whose printed result says that something is wrong.
  int exit_code = 0;
};

// Creates the subcommand with the common options attached. `example` is shown at the end of its --help.
Command AddCommand(Command root, CommonOptions& common, const std::string& name, const std::string& summary,
                   const std::string& example);

// Lets an option that takes a model's directory take "hf:OWNER/NAME[@REV]" too: it becomes the folder in the cache.
void AcceptHubName(Option option);

// Prints the one JSON document of --json.
void PrintJson(const nlohmann::ordered_json& document);

}  // namespace nla::cli
