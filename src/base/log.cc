// The one logger: stderr, short prefix, colour only on a terminal.
#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>

#include <memory>

#include "base/fail.h"

namespace nla {

void SetUpLogging(const std::string& level) {
  const spdlog::level::level_enum parsed = spdlog::level::from_str(level);
  // from_str answers `off` for words that it does not know.
  if (parsed == spdlog::level::off && level != "off") {
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
  spdlog::set_level(parsed);
}

bool ProgressWanted() { return spdlog::get_level() < spdlog::level::warn; }

}  // namespace nla
