// Access to the goldens of tools/goldens/datagen_golden.py, and comparison of datasets with them.
#include "datagen/datagen_golden_testing.h"

#include "base/file.h"
#include "data/activation_table.h"

namespace nla {

std::filesystem::path DatagenGolden(const std::string& name) {
  return std::filesystem::path(NLA_SOURCE_DIR) / "tests/datagen/golden" / name;
}

nlohmann::json DatagenGoldenFacts() { return nlohmann::json::parse(ReadFile(DatagenGolden("golden.json"))); }

void ExpectSameRows(const std::filesystem::path& found, const std::filesystem::path& wanted) {
  SCOPED_TRACE(found.string());
  ActivationReader a = ActivationReader::Open(found);
  ActivationReader b = ActivationReader::Open(wanted);
  EXPECT_EQ(a.schema(), b.schema());
  EXPECT_EQ(a.d_model(), b.d_model());
  EXPECT_EQ(a.has_text(), b.has_text());
  const auto rows = a.Next(1 << 20);
  const auto expected = b.Next(1 << 20);
  ASSERT_EQ(rows.size(), expected.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    SCOPED_TRACE(i);
    EXPECT_EQ(rows[i].doc_id, expected[i].doc_id);
    EXPECT_EQ(rows[i].n_raw_tokens, expected[i].n_raw_tokens);
    EXPECT_EQ(rows[i].activation_layer, expected[i].activation_layer);
    EXPECT_EQ(rows[i].activation, expected[i].activation);
    EXPECT_EQ(rows[i].text, expected[i].text);
    EXPECT_EQ(rows[i].explanation, expected[i].explanation);
    EXPECT_EQ(rows[i].prompt_messages, expected[i].prompt_messages);
    EXPECT_EQ(rows[i].prompt_text, expected[i].prompt_text);
    EXPECT_EQ(rows[i].response, expected[i].response);
  }
}

void ExpectSameSidecar(const std::filesystem::path& found, const std::filesystem::path& wanted) {
  TestFolder folder;
  const std::string script = R"(
import sys, yaml
def load(path):
    facts = yaml.safe_load(open(path + '.nla_meta.yaml', encoding='utf-8'))
    for key in ('created_at', 'created_by', 'git_commit', 'nla_cpp'):
        value = facts.pop(key, '')
        assert isinstance(value, dict if key == 'nla_cpp' and value else str), (key, value)
    return facts
found, wanted = load(r'''FOUND'''), load(r'''WANTED''')
if found != wanted:
    sys.exit(f'sidecars differ:\n{found}\n{wanted}')
)";
  std::string filled = script;
  filled.replace(filled.find("FOUND"), 5, found.string());
  filled.replace(filled.find("WANTED"), 6, wanted.string());
  EXPECT_EQ(RunPython(folder, filled), 0) << found;
}

}  // namespace nla
