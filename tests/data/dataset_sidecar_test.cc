// Dataset sidecars: what is written is read back, PyYAML sees the same types, and every missing or wrong field is
// named.
#include "data/dataset_sidecar.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "data/data_testing.h"

namespace nla {
namespace {

DatasetSidecar Full() {
  DatasetSidecar s;
  s.dataset_id = "ar_sft_m_L20_12345678__ar_sft_raw";
  s.stage = "ar_sft";
  s.row_count = int64_t{1} << 40;
  s.base_model = "no";  // a YAML boolean unless quoted
  s.d_model = 576;
  s.layer_index = 20;
  s.corpus = "1e5";  // a number unless quoted
  s.corpus_start = 3;
  s.corpus_length = 7;
  s.positions_per_doc = 10;
  s.keep_debug_metadata = false;
  s.tokens = TokenFacts{"㊗", 149705, 29, 522, {690, 366, 1708, 29}};
  s.actor_template = "line one\n\n<concept>{injection_char}</concept> # \"quoted\" 'and' \\ \t tab: é\n";
  s.critic_template = "  {explanation}</text> <summary>";
  s.api_summaries = ApiSummaries{"teacher: x", 300, 1e-5, "Explain {text}\r\nnow \x01"};
  s.parent_datasets = {"a: b", "- c"};
  s.created_at = "2026-01-02T03:04:05+00:00";
  s.created_by = "nla test";
  s.git_commit = "1234567";
  s.extra = {{"run_key", "0123"}, {"empty", ""}, {"odd key: x", "y"}};
  return s;
}

TEST(DatasetSidecar, ComesBackAsWritten) {
  TestFolder folder;
  const DatasetSidecar s = Full();
  WriteDatasetSidecar(folder / "a.parquet", s);
  EXPECT_TRUE(fs::exists(folder / "a.parquet.nla_meta.yaml"));
  const DatasetSidecar r = ReadDatasetSidecar(folder / "a.parquet");
  EXPECT_EQ(r.dataset_id, s.dataset_id);
  EXPECT_EQ(r.stage, s.stage);
  EXPECT_EQ(r.row_count, s.row_count);
  EXPECT_EQ(r.base_model, s.base_model);
  EXPECT_EQ(r.d_model, s.d_model);
  EXPECT_EQ(r.layer_index, s.layer_index);
  EXPECT_EQ(r.norm, "none");
  EXPECT_EQ(r.corpus, s.corpus);
  EXPECT_EQ(r.corpus_start, s.corpus_start);
  EXPECT_EQ(r.corpus_length, s.corpus_length);
  EXPECT_EQ(r.positions_per_doc, s.positions_per_doc);
  EXPECT_EQ(r.keep_debug_metadata, s.keep_debug_metadata);
  EXPECT_EQ(r.tokens, s.tokens);
  EXPECT_EQ(r.actor_template, s.actor_template);
  EXPECT_EQ(r.critic_template, s.critic_template);
  ASSERT_TRUE(r.api_summaries.has_value());
  EXPECT_EQ(r.api_summaries->model, s.api_summaries->model);
  EXPECT_EQ(r.api_summaries->max_tokens, s.api_summaries->max_tokens);
  EXPECT_EQ(r.api_summaries->temperature, s.api_summaries->temperature);
  EXPECT_EQ(r.api_summaries->instruction_prompt, s.api_summaries->instruction_prompt);
  EXPECT_EQ(r.parent_datasets, s.parent_datasets);
  EXPECT_EQ(r.created_at, s.created_at);
  EXPECT_EQ(r.created_by, s.created_by);
  EXPECT_EQ(r.git_commit, s.git_commit);
  EXPECT_EQ(r.extra, s.extra);
}

TEST(DatasetSidecar, PyYamlSeesTheSameTypes) {
  TestFolder folder;
  WriteDatasetSidecar(folder / "a.parquet", Full());
  DatasetSidecar base;
  base.dataset_id = "base";
  base.d_model = 1;
  WriteDatasetSidecar(folder / "b.parquet", base);
  EXPECT_EQ(RunPython(folder, R"(
import datetime, sys, yaml
load = lambda name: yaml.safe_load(open(f'{sys.argv[1]}/{name}.parquet.nla_meta.yaml', encoding='utf-8'))
a = load('a')
assert a == {
  'dataset_id': 'ar_sft_m_L20_12345678__ar_sft_raw', 'stage': 'ar_sft', 'row_count': 2**40,
  'extraction': {'base_model': 'no', 'd_model': 576, 'layer_index': 20, 'norm': 'none', 'corpus': '1e5',
                 'corpus_slice': {'start': 3, 'length': 7}, 'positions_per_doc': 10},
  'kind': 'nla_dataset', 'schema_version': 1, 'keep_debug_metadata': False,
  'tokens': {'injection_char': '㊗', 'injection_token_id': 149705, 'injection_left_neighbor_id': 29,
             'injection_right_neighbor_id': 522, 'critic_suffix_ids': [690, 366, 1708, 29]},
  'prompt_templates': {'actor': 'line one\n\n<concept>{injection_char}</concept> # "quoted" \'and\' \\ \t tab: é\n',
                       'critic': '  {explanation}</text> <summary>'},
  'api_summaries': {'model': 'teacher: x', 'max_tokens': 300, 'temperature': 1e-5, 'instruction_prompt': 'Explain {text}\r\nnow \x01'},
  'parent_datasets': ['a: b', '- c'], 'created_at': '2026-01-02T03:04:05+00:00', 'created_by': 'nla test', 'git_commit': '1234567',
  'nla_cpp': {'run_key': '0123', 'empty': '', 'odd key: x': 'y'}}, a
b = load('b')
assert b['prompt_templates'] == {} and b['parent_datasets'] == [] and 'tokens' not in b and 'nla_cpp' not in b, b
datetime.datetime.fromisoformat(b['created_at'])
)"),
            0);
}

constexpr const char* kForeign = R"(dataset_id: base_x
stage: base
row_count: 5
extraction:
  base_model: Qwen/Qwen2.5-7B-Instruct
  d_model: 3584
  layer_index: 20
  norm: none
  corpus: c
  corpus_slice: {start: 0, length: 10}
  positions_per_doc: 10
kind: nla_dataset
schema_version: 1
prompt_templates: {actor: a, critic: null}
tokens:
unknown_key: [1, {a: 2}]
)";

std::string With(const std::string& from, const std::string& to) {
  std::string text = kForeign;
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

DatasetSidecar ReadText(const std::string& text) {
  TestFolder folder;
  WriteFileForTest(folder / "a.parquet.nla_meta.yaml", text);
  return ReadDatasetSidecar(folder / "a.parquet");
}

TEST(DatasetSidecar, ReadsTheReferencesOwn) {
  const DatasetSidecar s = ReadText(kForeign);
  EXPECT_EQ(s.d_model, 3584);
  EXPECT_EQ(s.corpus_length, 10);
  EXPECT_EQ(s.actor_template, "a");
  EXPECT_EQ(s.critic_template, "");
  EXPECT_FALSE(s.tokens.has_value());
  EXPECT_TRUE(s.keep_debug_metadata);
}

TEST(DatasetSidecar, WrongFieldsAreNamed) {
  EXPECT_NLA_ERROR(ReadText(With("nla_dataset", "nla_model")),
                   "kind: unusable value: found nla_model, wanted nla_dataset");
  EXPECT_NLA_ERROR(ReadText(With("schema_version: 1", "schema_version: 2")), "schema_version");
  EXPECT_NLA_ERROR(ReadText(With("stage: base", "stage: sft")), "unknown stage: found sft");
  EXPECT_NLA_ERROR(ReadText(With("stage: base", "stage: rl")), "the field tokens is missing");
  EXPECT_NLA_ERROR(ReadText(With("row_count: 5", "row_count: -1")), "row_count: unusable value: found -1");
  EXPECT_NLA_ERROR(ReadText(With("row_count: 5", "row_count: many")), "found many, wanted an integer");
  EXPECT_NLA_ERROR(ReadText(With("d_model: 3584", "d_model: 0")), "extraction.d_model");
  EXPECT_NLA_ERROR(ReadText(With("  layer_index: 20\n", "")), "the field extraction.layer_index is missing");
  EXPECT_NLA_ERROR(ReadText(With("{start: 0, length: 10}", "all")), "extraction.corpus_slice");
  EXPECT_NLA_ERROR(ReadText(With("length: 10", "len: 10")), "extraction.corpus_slice.length is missing");
  EXPECT_NLA_ERROR(ReadText(With("tokens:\n", "tokens: {injection_char: x, injection_token_id: 99999999999}\n")),
                   "tokens.injection_token_id");
  EXPECT_NLA_ERROR(ReadText("just a text"), "not a sidecar");
  EXPECT_NLA_ERROR(ReadText("a: [1, 2"), "not YAML");
  EXPECT_NLA_ERROR(ReadText(""), "not a sidecar");
  EXPECT_NLA_ERROR(ReadDatasetSidecar("/nowhere/a.parquet"),
                   "/nowhere/a.parquet.nla_meta.yaml: the dataset's sidecar does not exist");
}

TEST(DatasetSidecar, DamageNeverCrashes) {
  const std::string text = kForeign;
  for (size_t at = 0; at < text.size(); ++at) {
    std::string damaged = text;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (at % 8)));
    for (const std::string& variant : {damaged, text.substr(0, at)}) {
      try {
        ReadText(variant);
      } catch (const Error&) {
      }
    }
  }
}

TEST(DatasetSidecar, IncompleteOnesAreNotWritten) {
  TestFolder folder;
  DatasetSidecar s = Full();
  s.tokens->critic_suffix_ids.clear();
  EXPECT_NLA_ERROR(WriteDatasetSidecar(folder / "a.parquet", s), "tokens.critic_suffix_ids is missing");
  s.tokens.reset();
  EXPECT_NLA_ERROR(WriteDatasetSidecar(folder / "a.parquet", s), "the field tokens is missing");
  EXPECT_FALSE(fs::exists(folder / "a.parquet.nla_meta.yaml"));
}

}  // namespace
}  // namespace nla
