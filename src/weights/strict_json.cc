// A parse callback that keeps the keys of each open object. What the fields mean is the caller's.
#include "weights/strict_json.h"

#include <fmt/format.h>

#include <set>
#include <vector>

#include "base/fail.h"
#include "base/file.h"

namespace nla {
namespace {

constexpr int kDeepest = 64;

}  // namespace

nlohmann::json ParseStrictJson(std::string_view text, const std::string& where) {
  using Event = nlohmann::json::parse_event_t;
  std::vector<std::set<std::string>> open;  // keys of the objects being read, outermost first
  const auto check = [&](int depth, Event event, nlohmann::json& parsed) {
    if (depth > kDeepest) {
      Fail({.where = where, .what = fmt::format("JSON nested deeper than {}", kDeepest)});
    }
    if (event == Event::object_start) open.emplace_back();
    if (event == Event::object_end) open.pop_back();
    if (event == Event::key && !open.back().insert(parsed.get<std::string>()).second) {
      Fail({.where = where, .what = "duplicate name in JSON", .found = parsed.get<std::string>()});
    }
    return true;
  };
  nlohmann::json document;
  try {
    document = nlohmann::json::parse(text, check);
  } catch (const nlohmann::json::exception& error) {
    Fail({.where = where, .what = fmt::format("not valid JSON ({})", error.what())});
  }
  if (!document.is_object()) {
    Fail({.where = where, .what = "not a JSON object", .found = document.type_name()});
  }
  return document;
}

nlohmann::json ReadStrictJson(const std::filesystem::path& path) {
  return ParseStrictJson(ReadFile(path, kLargestJson), path.string());
}

}  // namespace nla
