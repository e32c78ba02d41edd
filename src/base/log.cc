// The one logger: stderr, short prefix, colour only on a terminal.
#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>

#include "base/fail.h"

namespace nla {

void SetUpLogging(const std::string& level) {
  // spdlog knows more words, and takes those that it does not know for `off`.
  const std::array<std::string_view, 5> known{"debug", "info", "warn", "error", "off"};
  if (std::find(known.begin(), known.end(), level) == known.end()) {
    FailUsage({.where = "--log-level",
               .what = "unknown level",
               .found = "\"" + level + "\"",
               .wanted = "debug, info, warn, error or off"});
  }
  if (spdlog::get("nla") == nullptr) {
    const auto logger = spdlog::stderr_color_mt("nla");
    logger->set_pattern("%H:%M:%S %^%l%$ %v");
    spdlog::set_default_logger(logger);
  }
  spdlog::set_level(spdlog::level::from_str(level));
}

bool ProgressWanted() { return spdlog::get_level() < spdlog::level::warn; }

}  // namespace nla
