// Activation tables: what is written is read back, other tools' types are accepted, and damaged files end in one error.
#include "data/activation_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <limits>

#include "base/file.h"
#include "data/data_testing.h"
#include "data/scratch_file.h"
#include "nla/error.h"

namespace nla {
namespace {

using testing::HasSubstr;

void ExpectEqual(const ActivationRow& a, const ActivationRow& b) {
  EXPECT_EQ(a.n_raw_tokens, b.n_raw_tokens);
  EXPECT_EQ(a.activation_layer, b.activation_layer);
  EXPECT_EQ(a.doc_id, b.doc_id);
  EXPECT_EQ(a.activation, b.activation);
  EXPECT_EQ(a.text, b.text);
  EXPECT_EQ(a.explanation, b.explanation);
  EXPECT_EQ(a.prompt_messages, b.prompt_messages);
  EXPECT_EQ(a.prompt_text, b.prompt_text);
  EXPECT_EQ(a.response, b.response);
}

// The row as a file of this schema keeps it.
ActivationRow Kept(ActivationRow row, RowSchema schema, bool keep_text) {
  if (!keep_text) row.text.clear();
  if (schema != RowSchema::kExplained) row.explanation.clear();
  if (schema != RowSchema::kAvSft) row.response.clear();
  if (schema != RowSchema::kArSft) row.prompt_text.clear();
  if (schema != RowSchema::kAvSft && schema != RowSchema::kRl) row.prompt_messages.clear();
  return row;
}

void Write(const fs::path& path, RowSchema schema, const std::vector<ActivationRow>& rows, bool keep_text = true) {
  ActivationWriter writer(path, schema, static_cast<int64_t>(rows.at(0).activation.size()), keep_text);
  writer.Append(rows);
  EXPECT_EQ(writer.row_count(), static_cast<int64_t>(rows.size()));
  writer.Finish();
}

std::vector<ActivationRow> ReadAll(const fs::path& path) {
  ActivationReader reader = ActivationReader::Open(path);
  return reader.Next(std::numeric_limits<int64_t>::max());
}

class ActivationTableSchemas : public testing::TestWithParam<std::pair<RowSchema, bool>> {};

TEST_P(ActivationTableSchemas, RowsComeBackAsWritten) {
  const auto [schema, keep_text] = GetParam();
  TestFolder folder;
  const auto rows = MakeRows(5000, 7);  // more than two row groups
  Write(folder / "a.parquet", schema, rows, keep_text);
  ActivationReader reader = ActivationReader::Open(folder / "a.parquet");
  EXPECT_EQ(reader.schema(), schema);
  EXPECT_EQ(reader.row_count(), 5000);
  EXPECT_EQ(reader.d_model(), 7);
  EXPECT_EQ(reader.has_text(), keep_text);
  size_t row = 0;
  for (auto batch = reader.Next(333); !batch.empty(); batch = reader.Next(333)) {
    ASSERT_LE(batch.size(), 333U);
    for (const auto& got : batch) ExpectEqual(got, Kept(rows.at(row++), schema, keep_text));
  }
  EXPECT_EQ(row, rows.size());
  for (const int64_t start : {4999, 0, 2047, 2048, 2049, 5000}) {
    reader.Seek(start);
    const auto rest = reader.Next(2);
    ASSERT_EQ(static_cast<int64_t>(rest.size()), std::min<int64_t>(2, 5000 - start));
    if (!rest.empty()) ExpectEqual(rest[0], Kept(rows.at(static_cast<size_t>(start)), schema, keep_text));
  }
  EXPECT_THROW(reader.Seek(5001), Error);
}

INSTANTIATE_TEST_SUITE_P(All, ActivationTableSchemas,
                         testing::Values(std::pair{RowSchema::kBase, true}, std::pair{RowSchema::kBase, false},
                                         std::pair{RowSchema::kExplained, true}, std::pair{RowSchema::kAvSft, true},
                                         std::pair{RowSchema::kAvSft, false}, std::pair{RowSchema::kArSft, true},
                                         std::pair{RowSchema::kRl, true}, std::pair{RowSchema::kRl, false}));

TEST(ActivationTable, EmptyTableHasNoRows) {
  TestFolder folder;
  ActivationWriter writer(folder / "a.parquet", RowSchema::kBase, 3);
  writer.Finish();
  ActivationReader reader = ActivationReader::Open(folder / "a.parquet");
  EXPECT_EQ(reader.row_count(), 0);
  EXPECT_EQ(reader.d_model(), 3);
  EXPECT_TRUE(reader.Next(10).empty());
}

TEST(ActivationTable, UnfinishedWriterLeavesTheOldFile) {
  TestFolder folder;
  const auto rows = MakeRows(10, 3);
  Write(folder / "a.parquet", RowSchema::kBase, rows);
  {
    ActivationWriter writer(folder / "a.parquet", RowSchema::kBase, 3);
    writer.Append(MakeRows(5000, 3));
  }
  EXPECT_EQ(ReadAll(folder / "a.parquet").size(), 10U);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);
}

// A full disk: writes past RLIMIT_FSIZE fail once SIGXFSZ is ignored, on the same path as ENOSPC.
TEST(ActivationTable, FullDiskIsAnErrorAndLeavesTheOldFile) {
  TestFolder folder;
  Write(folder / "a.parquet", RowSchema::kBase, MakeRows(10, 64));
  const auto rows = MakeRows(5000, 64);
  const auto old_handler = signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit{};
  getrlimit(RLIMIT_FSIZE, &old_limit);
  rlimit limit = old_limit;
  limit.rlim_cur = 20000;
  setrlimit(RLIMIT_FSIZE, &limit);
  EXPECT_NLA_ERROR(Write(folder / "a.parquet", RowSchema::kBase, rows), "a.parquet: Parquet: ");
  EXPECT_NLA_ERROR(ScratchArray(folder.path(), 100000), "cannot reserve space for a scratch file");
  setrlimit(RLIMIT_FSIZE, &old_limit);
  signal(SIGXFSZ, old_handler);
  EXPECT_EQ(ReadAll(folder / "a.parquet").size(), 10U);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);
}

TEST(ActivationTable, WriterRefusesAWrongWidth) {
  TestFolder folder;
  ActivationWriter writer(folder / "a.parquet", RowSchema::kBase, 4);
  EXPECT_NLA_ERROR(writer.Append(MakeRows(1, 5)), "row 0: vector width differs from the file's: found 5, wanted 4");
}

// pyarrow is the oracle for the columns, their types and their order.
TEST(ActivationTable, PyarrowSeesTheColumnsOfTheFormat) {
  TestFolder folder;
  const auto rows = MakeRows(3, 2);
  Write(folder / "base.parquet", RowSchema::kBase, rows);
  Write(folder / "explained.parquet", RowSchema::kExplained, rows);
  Write(folder / "av.parquet", RowSchema::kAvSft, rows);
  Write(folder / "ar.parquet", RowSchema::kArSft, rows, false);
  Write(folder / "rl.parquet", RowSchema::kRl, rows);
  const std::string script = R"(
import sys, pyarrow as pa, pyarrow.parquet as pq
folder = sys.argv[1]
vec, i, s = ('activation_vector', pa.list_(pa.float32(), 2)), pa.int64(), pa.string()
messages = pa.list_(pa.struct([('role', s), ('content', s)]))
base = [('n_raw_tokens', i), ('detokenized_text_truncated', s), vec, ('activation_layer', i), ('doc_id', s)]
tail = [vec, ('n_raw_tokens', i), ('activation_layer', i), ('doc_id', s)]
text = [('detokenized_text_truncated', s)]
wanted = {'base': base, 'explained': base + [('api_explanation', s)],
          'av': [('prompt', messages), ('response', s)] + tail + text, 'ar': [('prompt', s)] + tail,
          'rl': [('prompt', messages)] + tail + text}
for name, fields in wanted.items():
    found = pq.read_schema(f'{folder}/{name}.parquet')
    assert found.equals(pa.schema(fields), check_metadata=False), (name, found)
table = pq.read_table(f'{folder}/av.parquet').to_pylist()
assert table[1]['prompt'] == [{'role': 'user', 'content': 'prompt 1 <INJECT>'}, {'role': 'assistant', 'content': 'ä'}], table[1]
assert table[2]['activation_vector'] == [2.0, 2.5], table[2]
)";
  EXPECT_EQ(RunPython(folder, script), 0);
}

// Types that other tools write, made by pyarrow.
TEST(ActivationTable, ReadsOtherToolsTypes) {
  TestFolder folder;
  const std::string script = R"(
import sys, pyarrow as pa, pyarrow.parquet as pq
folder = sys.argv[1]
rows = [[1.5, -2.0, 0.25], [0.0, 1e-3, 6.0], [4.0, 5.0, -6.5]]
for name, type in {'f64': pa.list_(pa.float64()), 'f32': pa.list_(pa.float32()), 'f16': pa.list_(pa.float16(), 3),
                   'large': pa.large_list(pa.float32()), 'f64fixed': pa.list_(pa.float64(), 3)}.items():
    import numpy as np
    values = [np.array(r, dtype=np.float16) for r in rows] if name == 'f16' else rows
    pq.write_table(pa.table({'doc_id': pa.array(['a', 'b', 'c'], pa.large_string()), 'extra': [1, 2, 3],
                             'n_raw_tokens': pa.array([1, 2, 3], pa.int32()),
                             'v': pa.array(values, type)}), f'{folder}/{name}.parquet', row_group_size=2)
)";
  ASSERT_EQ(RunPython(folder, script), 0);
  for (const char* name : {"f64", "f32", "f16", "large", "f64fixed"}) {
    SCOPED_TRACE(name);
    ActivationReader reader = ActivationReader::Open(folder / (std::string(name) + ".parquet"), "v");
    EXPECT_EQ(reader.d_model(), 3);
    EXPECT_EQ(reader.schema(), RowSchema::kBase);
    const auto rows = reader.Next(10);
    ASSERT_EQ(rows.size(), 3U);
    EXPECT_EQ(rows[2].activation, (std::vector<float>{4.0F, 5.0F, -6.5F}));
    EXPECT_NEAR(rows[1].activation[1], 1e-3, std::string(name) == "f16" ? 1e-6 : 1e-9);
    EXPECT_EQ(rows[2].doc_id, "c");
    EXPECT_EQ(rows[2].n_raw_tokens, 3);
  }
  EXPECT_EQ(ActivationReader::Open(folder / "f64.parquet").Next(9).size(), 3U);  // the only column of vectors
  EXPECT_NLA_ERROR(ActivationReader::Open(folder / "f64.parquet", "w"), "no column w (or more than one)");
  EXPECT_NLA_ERROR(ActivationReader::Open(folder / "f64.parquet", "extra"),
                   "column extra: unsupported type: found int64");
}

TEST(ActivationTable, BadRowsAreNamed) {
  TestFolder folder;
  const std::string script = R"(
import sys, pyarrow as pa, pyarrow.parquet as pq
folder = sys.argv[1]
nan, inf = float('nan'), float('inf')
for name, type, rows in [('nan', pa.list_(pa.float32(), 2), [[1, 2], [3, nan]]), ('inf', pa.list_(pa.float64()), [[1, 2], [inf, 4]]),
                         ('big', pa.list_(pa.float64()), [[1, 2], [1e300, 4]]), ('ragged', pa.list_(pa.float32()), [[1, 2], [3]]),
                         ('null', pa.list_(pa.float32()), [[1, 2], None]), ('nullvalue', pa.list_(pa.float32(), 2), [[1, 2], [3, None]]),
                         ('firstnull', pa.list_(pa.float32()), [None, [1, 2]]), ('empty', pa.list_(pa.float32()), [[], [1, 2]])]:
    pq.write_table(pa.table({'activation_vector': pa.array(rows, type)}), f'{folder}/{name}.parquet')
pq.write_table(pa.table({'activation_vector': [[1.0]], 'doc_id': [3]}), f'{folder}/docid.parquet')
pq.write_table(pa.table({'activation_vector': [[1.0]], 'n_raw_tokens': pa.array([None], pa.int64())}), f'{folder}/nulltokens.parquet')
)";
  ASSERT_EQ(RunPython(folder, script), 0);
  const auto read = [&](const char* name) { return ReadAll(folder / (std::string(name) + ".parquet")); };
  EXPECT_NLA_ERROR(read("nan"), "nan.parquet: row 1: value 1 of the vector is not a finite fp32 number: found nan");
  EXPECT_NLA_ERROR(read("inf"), "row 1: value 0 of the vector is not a finite");
  EXPECT_NLA_ERROR(read("big"), "row 1: value 0 of the vector is not a finite");
  EXPECT_NLA_ERROR(read("ragged"), "row 1: vector width differs from the file's: found 1, wanted 2");
  EXPECT_NLA_ERROR(read("null"), "row 1: the vector is null");
  EXPECT_NLA_ERROR(read("nullvalue"), "row 1: value 1 of the vector is null");
  EXPECT_NLA_ERROR(read("firstnull"), "row 0: the vector is null or empty");
  EXPECT_NLA_ERROR(read("empty"), "row 0: the vector is null or empty");
  EXPECT_NLA_ERROR(read("docid"), "column doc_id: unsupported type: found int64");
  EXPECT_NLA_ERROR(read("nulltokens"), "row 0: n_raw_tokens is null");
  EXPECT_NLA_ERROR(read("absent"), "absent.parquet");
  EXPECT_NLA_ERROR(ReadAll(folder.path()), "is a directory");
}

TEST(ActivationTable, TruncatedFilesAreErrors) {
  TestFolder folder;
  Write(folder / "a.parquet", RowSchema::kAvSft, MakeRows(40, 8));
  const std::string bytes = ReadFile(folder / "a.parquet");
  for (size_t size = 0; size < bytes.size(); size += 1 + size / 16) {
    WriteFileForTest(folder / "cut.parquet", bytes.substr(0, size));
    EXPECT_THROW(ReadAll(folder / "cut.parquet"), Error) << size;
  }
}

// Every byte of the file flipped in turn: an error or rows, never a crash; and in the data pages always an error.
TEST(ActivationTable, FlippedBitsNeverCrash) {
  TestFolder folder;
  const auto rows = MakeRows(40, 8);
  Write(folder / "a.parquet", RowSchema::kAvSft, rows);
  const std::string bytes = ReadFile(folder / "a.parquet");
  int refused = 0;
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (at % 8)));
    WriteFileForTest(folder / "flip.parquet", damaged);
    try {
      for (const auto& row : ReadAll(folder / "flip.parquet")) ASSERT_EQ(row.activation.size(), 8U);
    } catch (const Error& e) {
      ++refused;
      EXPECT_THAT(e.what(), HasSubstr("flip.parquet"));
      EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos);
    }
  }
  EXPECT_GT(refused, static_cast<int>(bytes.size()) / 4);
}

TEST(ActivationTable, FlippedVectorBytesAreNoticed) {
  TestFolder folder;
  const auto rows = MakeRows(400, 64);  // distinct floats: the vectors are most of the file
  Write(folder / "a.parquet", RowSchema::kBase, rows);
  const std::string bytes = ReadFile(folder / "a.parquet");
  for (size_t at = bytes.size() / 4; at < bytes.size() / 2; at += 997) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    WriteFileForTest(folder / "flip.parquet", damaged);
    EXPECT_THROW(ReadAll(folder / "flip.parquet"), Error) << at;
  }
}

TEST(ActivationTable, NoiseIsNotAParquetFile) {
  TestFolder folder;
  WriteFileForTest(folder / "a.parquet", "PAR1 this is no table PAR1");
  EXPECT_THROW(ActivationReader::Open(folder / "a.parquet"), Error);
  WriteFileForTest(folder / "a.parquet", "");
  EXPECT_THROW(ActivationReader::Open(folder / "a.parquet"), Error);
}

}  // namespace
}  // namespace nla
