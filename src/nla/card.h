// Model cards: README.md of a pair or of one side, with the front matter that model hubs read and the figures of a
// report card. Nothing is uploaded.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "nla/sidecar.h"

namespace nla {

struct CardOptions {
  std::string license = {};     // a hub's name of it ("apache-2.0"); empty: the card says that it must be filled in
  std::string repo = {};        // "OWNER/NAME" that it will be published as; empty: the directory's name
  std::string base_model = {};  // hub name of the base model; empty: as the sidecar has it
  // What `nla report --json` printed for this pair.
  std::optional<nlohmann::json> report = {};
};

// The text of the card of a side's directory, or of a directory with pair.yaml. Errors: a report of another base model
// or layer, or without the figures.
std::string ModelCard(const std::filesystem::path& directory, const CardOptions& options);

// Writes ModelCard to `directory`/README.md, and for a pair to av/ and ar/ too; returns what was written. An existing
// README.md is an error unless `replace`.
std::vector<std::filesystem::path> WriteModelCards(const std::filesystem::path& directory, const CardOptions& options,
                                                   bool replace);

}  // namespace nla
