// Permutation on disk: the order asked for, every column and type kept, one column alone, and scratch batches small
// enough that a row's place needs more than one of them.
#include "data/permute.h"

#include <gtest/gtest.h>

#include <numeric>

#include "base/file.h"
#include "data/activation_table.h"
#include "data/data_testing.h"
#include "data/scratch_file.h"

namespace nla {
namespace {

std::vector<int64_t> ShuffledOrder(int64_t count, uint64_t seed) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  PythonRandom random(seed);
  FillShuffledOrder(order, random);
  return order;
}

void WriteRows(const fs::path& path, int64_t count) {
  ActivationWriter writer(path, RowSchema::kAvSft, 3);
  writer.Append(MakeRows(count, 3));
  writer.Finish();
}

TEST(FillShuffledOrder, EqualsCPython) {
  // order = list(range(8)); random.Random(5).shuffle(order)
  TestFolder folder;
  std::string script = "import random\norder = list(range(8)); random.Random(5).shuffle(order)\nassert order == [";
  for (const int64_t row : ShuffledOrder(8, 5)) script += std::to_string(row) + ",";
  EXPECT_EQ(RunPython(folder, script + "], order\n"), 0);
}

class PermuteBatches : public testing::TestWithParam<int64_t> {};

TEST_P(PermuteBatches, RowsLandWhereTheOrderSays) {
  TestFolder folder;
  WriteRows(folder / "a.parquet", 5000);
  const auto order = ShuffledOrder(5000, 1);
  PermuteRows(folder / "a.parquet", folder / "b.parquet", order, {.scratch_batch_rows = GetParam()});
  const auto rows = MakeRows(5000, 3);
  const auto moved = ActivationReader::Open(folder / "b.parquet").Next(6000);
  ASSERT_EQ(moved.size(), rows.size());
  for (size_t i = 0; i < moved.size(); ++i) {
    const ActivationRow& from = rows[static_cast<size_t>(order[i])];
    ASSERT_EQ(moved[i].activation, from.activation);
    ASSERT_EQ(moved[i].text, from.text);
    ASSERT_EQ(moved[i].response, from.response);
    ASSERT_EQ(moved[i].prompt_messages, from.prompt_messages);
    ASSERT_EQ(moved[i].n_raw_tokens, from.n_raw_tokens);
  }
}

TEST_P(PermuteBatches, OneColumnAlone) {
  TestFolder folder;
  WriteRows(folder / "a.parquet", 5000);
  const auto order = ShuffledOrder(5000, 2);
  PermuteRows(folder / "a.parquet", folder / "b.parquet", order,
              {.only_column = "activation_vector", .scratch_batch_rows = GetParam()});
  const auto rows = MakeRows(5000, 3);
  const auto moved = ActivationReader::Open(folder / "b.parquet").Next(6000);
  ASSERT_EQ(moved.size(), rows.size());
  for (size_t i = 0; i < moved.size(); ++i) {
    ASSERT_EQ(moved[i].activation, rows[static_cast<size_t>(order[i])].activation);
    ASSERT_EQ(moved[i].text, rows[i].text);
    ASSERT_EQ(moved[i].doc_id, rows[i].doc_id);
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, PermuteBatches, testing::Values(1, 7, 1000, 8192));

// Columns of types that our own tables never have, nulls included: pyarrow makes them and checks them.
TEST(Permute, KeepsForeignColumnsAndTypes) {
  TestFolder folder;
  const std::string make = R"(
import sys, datetime, pyarrow as pa, pyarrow.parquet as pq
folder = sys.argv[1]
n = 300
table = pa.table({
  'activation_vector': pa.array([[float(i), -1.0] for i in range(n)], pa.list_(pa.float32())),
  'fixed': pa.array([None if i % 5 == 0 else [i, None] for i in range(n)], pa.list_(pa.int16(), 2)),
  'ragged': pa.array([None if i % 7 == 0 else list(range(i % 4)) for i in range(n)], pa.large_list(pa.float64())),
  'nested': pa.array([{'a': str(i), 'b': [{'c': i}] * (i % 3)} for i in range(n)]),
  'when': pa.array([datetime.datetime(2026, 1, 1) + datetime.timedelta(hours=i) for i in range(n)], pa.timestamp('us')),
  'flag': pa.array([i % 3 == 0 for i in range(n)]), 'bytes': pa.array([bytes([i % 256]) for i in range(n)]),
}).replace_schema_metadata({'maker': 'test'})
)";
  ASSERT_EQ(RunPython(folder, make + "pq.write_table(table, folder + '/a.parquet', row_group_size=64)\n"), 0);
  std::vector<int64_t> order(300);
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>((i * 7 + 3) % 300);
  PermuteRows(folder / "a.parquet", folder / "rows.parquet", order, {.scratch_batch_rows = 50});
  PermuteRows(folder / "a.parquet", folder / "column.parquet", order, {.only_column = "activation_vector"});
  EXPECT_EQ(RunPython(folder, make + R"(
order = [(i * 7 + 3) % n for i in range(n)]
rows = pq.read_table(folder + '/rows.parquet')
assert rows.schema.equals(table.schema) and rows.schema.metadata[b'maker'] == b'test', rows.schema
assert rows.to_pylist() == [table.to_pylist()[i] for i in order]
column = pq.read_table(folder + '/column.parquet')
assert column.drop(['activation_vector']).equals(table.drop(['activation_vector']))
assert column['activation_vector'].to_pylist() == [[float(i), -1.0] for i in order]
)"),
            0);
}

TEST(Permute, EmptyTableStaysEmpty) {
  TestFolder folder;
  WriteRows(folder / "a.parquet", 0);
  PermuteRows(folder / "a.parquet", folder / "b.parquet", {});
  EXPECT_EQ(ActivationReader::Open(folder / "b.parquet").row_count(), 0);
}

TEST(Permute, FailureLeavesNothing) {
  TestFolder folder;
  fs::create_directory(folder / "out");
  WriteRows(folder / "a.parquet", 100);
  const auto order = ShuffledOrder(100, 1);
  EXPECT_NLA_ERROR(PermuteRows(folder / "a.parquet", folder / "out/b.parquet", order, {.only_column = "absent"}),
                   "no column absent");
  EXPECT_NLA_ERROR(PermuteRows(folder / "a.parquet", folder / "out/b.parquet", ShuffledOrder(99, 1)),
                   "found 99, wanted 100");
  std::string bytes = ReadFile(folder / "a.parquet");
  for (size_t at = 40; at < bytes.size(); at += 131) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x20);
    WriteFileForTest(folder / "damaged.parquet", damaged);
    try {
      PermuteRows(folder / "damaged.parquet", folder / "out/b.parquet", order);
      fs::remove(folder / "out/b.parquet");
    } catch (const Error&) {
    }
    EXPECT_TRUE(fs::is_empty(folder / "out")) << at;
  }
}

TEST(ScratchFile, LeavesNoNameAndHoldsValues) {
  TestFolder folder;
  ScratchArray array(folder.path(), 1000);
  EXPECT_TRUE(fs::is_empty(folder.path()));
  std::iota(array.values().begin(), array.values().end(), int64_t{1} << 40);
  EXPECT_EQ(array.values()[999], (int64_t{1} << 40) + 999);
  EXPECT_EQ(ScratchArray(folder.path(), 0).values().size(), 0U);
  EXPECT_NO_THROW(ScratchArray(folder / "new/folder", 1));
  WriteFileForTest(folder / "file", "");
  EXPECT_NLA_ERROR(ScratchArray(folder / "file", 1), "cannot create a scratch file");
}

}  // namespace
}  // namespace nla
