// Positions and dataset names against CPython.
#include "datagen/positions.h"

#include "datagen/datagen_golden_testing.h"
#include "datagen/dataset_id.h"

namespace nla {
namespace {

TEST(Positions, EqualPythons) {
  const nlohmann::json facts = DatagenGoldenFacts();
  int compared = 0;
  for (const auto& entry : facts.at("positions")) {
    const auto ids = entry.at("ids").get<std::vector<TokenId>>();
    const auto special = entry.at("special").get<std::vector<TokenId>>();
    const auto is_special = [&](TokenId id) { return std::count(special.begin(), special.end(), id) > 0; };
    const PositionOptions options{.positions_per_doc = entry.at("per_doc"), .seed = entry.at("seed")};
    EXPECT_EQ(ChoosePositions(ids, is_special, entry.at("doc_id").get<std::string>(), options),
              entry.at("positions").get<std::vector<int64_t>>())
        << entry.at("doc_id") << " " << entry.at("seed");
    ++compared;
  }
  EXPECT_GE(compared, 10);
}

TEST(Positions, MinPositionMoves) {
  const std::vector<TokenId> ids(8, 1);
  const auto none = [](TokenId) { return false; };
  EXPECT_EQ(ChoosePositions(ids, none, "d", {.positions_per_doc = 3, .min_position = 7}), (std::vector<int64_t>{7}));
  EXPECT_TRUE(ChoosePositions(ids, none, "d", {.positions_per_doc = 3, .min_position = 8}).empty());
  EXPECT_TRUE(ChoosePositions(ids, [](TokenId) { return true; }, "d", {.min_position = 0}).empty());
}

TEST(DatasetId, EqualsPythons) {
  const nlohmann::json facts = DatagenGoldenFacts();
  int compared = 0;
  for (const auto& entry : facts.at("dataset_ids")) {
    EXPECT_EQ(BaseDatasetId(entry.at("base_model"), entry.at("layer"), entry.at("corpus"),
                            {.start = entry.at("start"), .length = entry.at("length")}),
              entry.at("dataset_id").get<std::string>());
    ++compared;
  }
  EXPECT_EQ(compared, 5);
  EXPECT_EQ(BuiltDatasetId("rl", "base_m_L3_00000000__rl_raw"), "rl_m_L3_00000000__rl_raw");
  EXPECT_EQ(BuiltDatasetId("rl", "other"), "rl_other");
}

}  // namespace
}  // namespace nla
