// JSON from files that are not trusted: duplicate keys and deep nesting are errors, where a plain parser takes the last
// of the duplicates in silence.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace nla {

// The document, which must be an object. `where` names the source in errors.
nlohmann::json ParseStrictJson(std::string_view text, const std::string& where);

constexpr uint64_t kLargestJson = uint64_t{1} << 28;  // bytes of a file beside weights
// A file's.
nlohmann::json ReadStrictJson(const std::filesystem::path& path);

}  // namespace nla
