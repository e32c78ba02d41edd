// The "normalizer" of tokenizer.json: NFC, replacements of one string by another, and sequences of these.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "text/json_view.h"
#include "text/replacement.h"
#include "text/tokenizer.h"

namespace nla {

// Where each byte of a text comes from in the text before it was normalised.
using ByteOrigins = std::vector<ByteRange>;

// Every byte of valid UTF-8 `text` comes from the whole character it is in.
ByteOrigins OwnOrigins(std::string_view text);

// Immutable; safe to share between threads.
class Normalizer {
 public:
  struct Nfc {};

  // `section` is null where the file has none.
  static Normalizer FromJson(const JsonView& section);

  // Normalises valid UTF-8 `text`: the result is `text` itself where nothing changes, otherwise `storage`. `origins`,
  // if given, is filled in the second case and left empty in the first.
  std::string_view Apply(std::string_view text, std::string& storage, ByteOrigins* origins = nullptr) const;

 private:
  std::vector<std::variant<Nfc, Replacement>> steps_;
};

}  // namespace nla
