// Holds a tokenizer to what tools/oracles/tokenizer_lines.py says the `tokenizers` library makes of many lines.
#pragma once

#include <filesystem>
#include <string>

#include "text/tokenizer.h"

namespace nla::testing {

struct LineCounts {
  int lines = 0;
  int with_offsets = 0;
  int with_specials = 0;  // lines that spell special tokens
  int id_lists = 0;       // random ids, decoded alone
};

// Runs the script on `directory` for `count` lines and checks all of its records as they come. Stops at the first that
// differs.
LineCounts CheckLibraryLines(const std::filesystem::path& directory, const Tokenizer& tokenizer, int count);

// Standard output of a command that must succeed, without the last newline.
std::string Capture(const std::string& command);

}  // namespace nla::testing
