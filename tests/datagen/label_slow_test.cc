// How many tokens the context provider's explanations have, by the demo model's own tokenizer, over English prose that
// every Debian system holds.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <filesystem>

#include "base/file.h"
#include "datagen/providers/context.h"
#include "nla/error.h"
#include "text/tokenizer.h"

namespace nla {
namespace {

// The converted base model; makes it when it is not there.
fs::path BaseModel() {
  FILE* pipe = popen("NLA_PROGRAM=" NLA_PROGRAM " " NLA_SOURCE_DIR "/tools/base_model.sh", "r");
  std::array<char, 4096> line{};
  const bool read = pipe != nullptr && fgets(line.data(), line.size(), pipe) != nullptr;
  if (pipe == nullptr || pclose(pipe) != 0 || !read) throw Error("tools/base_model.sh failed");
  std::string directory(line.data());
  directory.erase(directory.find_last_not_of('\n') + 1);
  return directory;
}

// Every text up to a token, as extraction cuts it: each seventh token of each licence.
std::vector<std::string> Texts(const Tokenizer& tokenizer) {
  std::vector<std::string> texts;
  for (const auto& entry : fs::directory_iterator("/usr/share/common-licenses")) {
    if (entry.is_symlink()) continue;
    auto ids = tokenizer.Encode(ReadFile(entry.path()));
    for (size_t start = 0; start < ids.size(); start += 1000) {
      const std::span<const TokenId> document(ids.data() + start, std::min<size_t>(1000, ids.size() - start));
      for (size_t end = 51; end < document.size(); end += 7) texts.push_back(tokenizer.Decode(document.first(end)));
    }
  }
  return texts;
}

TEST(LabelSlow, ExplanationsStayWithinTheirTokens) {
  const Tokenizer tokenizer = Tokenizer::Load(BaseModel());
  const auto count = [&](std::string_view text) {
    return static_cast<int64_t>(tokenizer.Encode(text, {.add_special = false}).size());
  };
  const auto texts = Texts(tokenizer);
  ASSERT_GT(texts.size(), 5000u);
  int64_t estimated_over = 0, none = 0, sum = 0;
  for (const std::string& text : texts) {
    const auto estimated = ExplainContext(text);
    const auto counted = ExplainContext(text, {.count_tokens = count});
    if (!estimated || !counted) {
      ++none;
      continue;
    }
    estimated_over += count(*estimated) > 40;
    EXPECT_LE(count(*counted), 40) << *counted;
    sum += count(*counted);
  }
  const auto n = static_cast<double>(texts.size());
  EXPECT_LE(static_cast<double>(estimated_over), 0.001 * n);
  EXPECT_LE(static_cast<double>(none), 0.001 * n);
  EXPECT_GE(static_cast<double>(sum), 32 * n);  // the budget is used
}

}  // namespace
}  // namespace nla
