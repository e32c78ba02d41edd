// PythonRandom against what CPython's random.Random answered (tools/goldens/python_random.py).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/hash.h"
#include "base/random.h"

namespace nla {
namespace {

using Json = nlohmann::json;

Json Golden() { return Json::parse(ReadFile(fs::path(NLA_SOURCE_DIR) / "tests/base/golden/python_random.json")); }

std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2)
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

void ExpectShuffle(PythonRandom& random, size_t size, const Json& wanted) {
  std::vector<int64_t> items(size);
  std::iota(items.begin(), items.end(), int64_t{0});
  random.Shuffle(items);
  if (wanted.is_array()) {
    EXPECT_EQ(items, wanted.get<std::vector<int64_t>>());
  } else {
    EXPECT_EQ(Sha256Hex(fmt::format("{}", fmt::join(items, ","))), wanted.get<std::string>());
  }
}

// The draws come in the script's order from one generator, so a call that uses one number too many fails the next.
void ExpectAnswers(PythonRandom random, const Json& golden, const Json& answers) {
  const auto bits = golden["bits"].get<std::vector<int>>();
  for (size_t i = 0; i < bits.size(); ++i) {
    EXPECT_EQ(std::to_string(random.GetRandBits(bits[i])), answers["bits"][i]) << bits[i] << " bits";
  }
  for (const Json& wanted : answers["random"]) {
    EXPECT_EQ(random.Random(), std::stod(wanted.get<std::string>()));
  }
  const std::vector<uint64_t> ranges{1, 2, 10, uint64_t{1} << 32, (uint64_t{1} << 32) + 1, uint64_t{1} << 63};
  for (size_t i = 0; i < ranges.size(); ++i) {
    EXPECT_EQ(std::to_string(random.RandBelow(ranges[i])), answers["below"][i]) << "below " << ranges[i];
  }
  for (size_t i = 0; i < golden["samples"].size(); ++i) {
    const auto [n, k] = golden["samples"][i].get<std::pair<int64_t, int64_t>>();
    EXPECT_EQ(random.Sample(n, k), answers["samples"][i].get<std::vector<int64_t>>()) << k << " of " << n;
  }
  for (size_t i = 0; i < golden["shuffles"].size(); ++i) {
    ExpectShuffle(random, golden["shuffles"][i].get<size_t>(), answers["shuffles"][i]);
  }
  uint32_t last = 0;
  for (int i = 0; i < 1300; ++i) last = random.NextU32();
  EXPECT_EQ(last, answers["last"].get<uint32_t>());
}

TEST(PythonRandom, MatchesCPythonForIntSeeds) {
  const Json golden = Golden();
  for (const Json& answers : golden["int_seeds"]) {
    SCOPED_TRACE("seed " + answers["seed"].get<std::string>());
    ExpectAnswers(PythonRandom(std::stoull(answers["seed"].get<std::string>())), golden, answers);
  }
}

TEST(PythonRandom, MatchesCPythonForByteSeeds) {
  const Json golden = Golden();
  for (const Json& answers : golden["byte_seeds"]) {
    const std::string seed = FromHex(answers["seed_hex"]);
    SCOPED_TRACE(fmt::format("seed of {} bytes", seed.size()));
    ExpectAnswers(PythonRandom::FromBytes(seed), golden, answers);
  }
}

}  // namespace
}  // namespace nla
