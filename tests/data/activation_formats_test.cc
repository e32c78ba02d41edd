// Activations from every format: what other tools wrote comes back value for value, damage and lies end in an error
// that names the place.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "base/file.h"
#include "data/activation_format.h"
#include "data/activation_table.h"
#include "data/data_testing.h"
#include "data/vector_writer.h"

namespace nla {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr int64_t kRows = 5, kWidth = 7;

fs::path Golden(const std::string& name) { return fs::path(NLA_SOURCE_DIR "/tests/data/golden/activations") / name; }

// Row i of the matrix of tools/goldens/activations.py.
std::vector<float> GoldenRow(int64_t i) {
  std::vector<float> row;
  for (int64_t j = 0; j < kWidth; ++j) row.push_back(static_cast<float>(i * kWidth + j - 5) / 4);
  return row;
}

void ExpectGolden(ActivationReader reader, int64_t rows = kRows) {
  EXPECT_EQ(reader.row_count(), rows);
  EXPECT_EQ(reader.d_model(), kWidth);
  const auto all = reader.Next(100);
  ASSERT_EQ(static_cast<int64_t>(all.size()), rows);
  for (int64_t i = 0; i < rows; ++i) EXPECT_EQ(all[i].activation, GoldenRow(i)) << i;
  EXPECT_TRUE(reader.Next(1).empty());
  for (const int64_t i : {rows - 1, int64_t{0}}) {
    reader.Seek(i);
    EXPECT_EQ(reader.Next(1).at(0).activation, GoldenRow(i));
  }
  reader.Seek(rows);
  EXPECT_TRUE(reader.Next(1).empty());
  EXPECT_NLA_ERROR(reader.Seek(rows + 1), "no such row to continue at");
}

class ActivationFormats : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(ActivationFormats, ComeBackValueForValue) {
  const auto& [file, column] = GetParam();
  ExpectGolden(ActivationReader::Open(Golden(file), column));
}

INSTANTIATE_TEST_SUITE_P(All, ActivationFormats,
                         testing::Values(std::pair("f2_little_c.npy", ""), std::pair("f2_big_c.npy", ""),
                                         std::pair("f2_little_fortran.npy", ""), std::pair("f2_big_fortran.npy", ""),
                                         std::pair("f4_little_c.npy", ""), std::pair("f4_big_c.npy", ""),
                                         std::pair("f4_little_fortran.npy", ""), std::pair("f4_big_fortran.npy", ""),
                                         std::pair("f8_little_c.npy", ""), std::pair("f8_big_c.npy", ""),
                                         std::pair("f8_little_fortran.npy", ""), std::pair("f8_big_fortran.npy", ""),
                                         std::pair("v2.npy", ""), std::pair("v3.npy", ""),
                                         std::pair("stored.npz", "acts"), std::pair("stored.npz", "acts.npy"),
                                         std::pair("deflated.npz", ""), std::pair("zip64.npz", ""),
                                         std::pair("f2.safetensors", ""), std::pair("f4.safetensors", "acts"),
                                         std::pair("f8.safetensors", ""), std::pair("bf16.safetensors", ""),
                                         std::pair("arrays.jsonl", ""), std::pair("objects.jsonl", "acts")));

TEST(ActivationFiles, OneDimensionIsOneRow) { ExpectGolden(ActivationReader::Open(Golden("one_row.npy")), 1); }

TEST(ActivationFiles, ObjectsBringTheirColumns) {
  ActivationReader reader = ActivationReader::Open(Golden("objects.jsonl"), "acts");
  EXPECT_EQ(reader.schema(), RowSchema::kExplained);
  EXPECT_TRUE(reader.has_layer() && reader.has_text());
  const auto rows = reader.Next(10);
  EXPECT_EQ(rows[2].doc_id, "d2");
  EXPECT_EQ(rows[2].n_raw_tokens, 3);
  EXPECT_EQ(rows[2].activation_layer, 3);
  EXPECT_EQ(rows[2].explanation, "é 2");
  EXPECT_EQ(rows[0].text, "text 0");
  EXPECT_EQ(rows[1].text, "");  // null
  EXPECT_NLA_ERROR(ActivationReader::Open(Golden("objects.jsonl")),
                   "no key activation_vector (or more than one): found activation_layer, acts, api_explanation");
}

TEST(ActivationFiles, TheContentDecidesNotTheName) {
  TestFolder folder;
  for (const char* name : {"f4_big_c.npy", "deflated.npz", "f2.safetensors", "arrays.jsonl"}) {
    fs::copy_file(Golden(name), folder / "misnamed.parquet", fs::copy_options::overwrite_existing);
    ExpectGolden(ActivationReader::Open(folder / "misnamed.parquet"));
  }
  WriteFileForTest(folder / "notes.txt", "hello");
  EXPECT_NLA_ERROR(ActivationReader::Open(folder / "notes.txt"), "notes.txt: not a file of activations");
  EXPECT_NLA_ERROR(ActivationReader::Open(folder / "nothing.npy"), "nothing.npy");
  EXPECT_NLA_ERROR(ActivationReader::Open(folder.path()), "it is a directory");
}

TEST(ActivationFiles, WhatCannotBeActivationsIsRefused) {
  const auto open = [](const char* name, const char* column = "") {
    return ActivationReader::Open(Golden(name), column);
  };
  EXPECT_NLA_ERROR(open("refused_int.npy"), "unsupported type: found '<i4', wanted little- or big-endian float16");
  EXPECT_NLA_ERROR(open("refused_3d.npy"), "found shape (5, 1, 7), wanted (rows, width)");
  EXPECT_NLA_ERROR(open("refused_scalar.npy"), "found shape ()");
  EXPECT_NLA_ERROR(open("refused_structured.npy"), "a structured array");
  EXPECT_NLA_ERROR(open("refused_pickle.npy"), "pickled objects, which are never opened");
  EXPECT_NLA_ERROR(open("refused_bzip2.npz"), "method 12");
  EXPECT_NLA_ERROR(open("stored.npz"), "no member activation_vector (or more than one): found acts, other");
  EXPECT_NLA_ERROR(open("stored.npz", "x"), "no member x");
  EXPECT_NLA_ERROR(open("f4_big_c.npy", "x"), "--column");
  EXPECT_NLA_ERROR(open("arrays.jsonl", "x"), "--column");
  EXPECT_NLA_ERROR(open("bf16.safetensors", "ids"), "tensor ids: unsupported type: found I64");
}

// A .npy of format 1.0 with these values.
std::string Npy(const std::string& shape, const std::vector<float>& values) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + "}\n";
  std::string file("\x93NUMPY\x01\x00", 8);
  file += static_cast<char>(header.size());
  file += '\0';
  file += header;
  file.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  return file;
}

TEST(ActivationFiles, BadRowsAreNamed) {
  TestFolder folder;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto read = [&](const char* name, const std::string& text) {
    WriteFileForTest(folder / name, text);
    return ActivationReader::Open(folder / name).Next(100);
  };
  EXPECT_NLA_ERROR(read("a.npy", Npy("(3, 2)", {1, 2, 3, 4, 5, nan})), "a.npy: row 2: value 1 of the vector is not");
  EXPECT_NLA_ERROR(read("a.npy", Npy("(2, 2)", {1, 2, 0, 0})), "a.npy: row 1: the vector is all zero");
  EXPECT_NLA_ERROR(read("a.jsonl", "[1, 2]\n[0, 0.0]\n"), "a.jsonl: row 1: the vector is all zero");
  EXPECT_NLA_ERROR(read("a.jsonl", "[1, 2]\n\n[3]\n"),
                   "row 1: vector width differs from the file's: found 1, wanted 2");
  EXPECT_NLA_ERROR(read("a.jsonl", "[1, 2]\n[3, NaN]\n"), "a.jsonl: row 1: not JSON");
  EXPECT_NLA_ERROR(read("a.jsonl", "[1, 2]\n[3, 1e39]\n"), "row 1: value 1 of the vector is not a finite fp32");
  EXPECT_NLA_ERROR(read("a.jsonl", "[1, 2]\n[3, null]\n"), "row 1: value 1 of the vector is not a number: found null");
  EXPECT_NLA_ERROR(read("a.jsonl", "[[1, 2], [3, 4]]\n"), "Write one row a line");
  EXPECT_NLA_ERROR(read("a.jsonl", "[1, 2]\n{\"activation_vector\": [1, 2]}\n"), "row 1: not an array as the first");
  EXPECT_NLA_ERROR(read("a.jsonl", "{\"v\": [1]}\n{\"w\": [1]}\n"), "row 1: no key v");
  EXPECT_NLA_ERROR(read("a.jsonl", "{\"v\": [1]}\n{\"v\": \"x\"}\n"), "row 1: the vector is not an array of numbers");
  EXPECT_NLA_ERROR(read("a.jsonl", "{\"v\": [1], \"doc_id\": 3}\n"), "row 0: doc_id is of another type");
  EXPECT_NLA_ERROR(read("a.jsonl", "[]\n"), "row 0: the vector is null or empty");
  EXPECT_NLA_ERROR(read("a.jsonl", std::string(5000, '[') + "\n"), "row 0: not JSON");
}

TEST(ActivationFiles, LengthsAreNotBelieved) {
  TestFolder folder;
  const auto open = [&](const std::string& text) {
    WriteFileForTest(folder / "a.npy", text);
    return ActivationReader::Open(folder / "a.npy");
  };
  EXPECT_NLA_ERROR(open(Npy("(3, 2)", {1, 2, 3, 4})), "found 16 bytes, wanted 24 for 3 rows of 2 values");
  EXPECT_NLA_ERROR(open(Npy("(1, 2)", {1, 2, 3, 4})), "found 16 bytes, wanted 8");
  EXPECT_NLA_ERROR(open(Npy("(4611686018427387904, 4)", {1})), "more than there can be");
  EXPECT_NLA_ERROR(open(Npy("(99999999999999999999, 4)", {1})), "not a NumPy header");
  EXPECT_NLA_ERROR(open(Npy("(-1, 4)", {1})), "not a NumPy header");
  EXPECT_NLA_ERROR(open(Npy("(1, 4", {1})), "not a NumPy header");
  EXPECT_NLA_ERROR(open(std::string("\x93NUMPY\x01\x00\xff\xff{}", 12)), "the header is longer than the file");
  EXPECT_NLA_ERROR(open(std::string("\x93NUMPY\x04\x00\x02\x00{}", 12)), "unknown .npy format: found 4.0");
  std::string many = Npy("(1, 2)", {1, 2});
  many.insert(many.find("'descr'"), "'x': 1, ");
  EXPECT_NLA_ERROR(open(many), "not a NumPy header");
}

// Reads a file to its end; errors are fine, anything else is not.
void ReadDamaged(const fs::path& path) {
  try {
    ActivationReader reader = ActivationReader::Open(path);
    while (!reader.Next(64).empty()) {
    }
  } catch (const Error&) {
  }
}

class DamagedFormats : public testing::TestWithParam<const char*> {};

TEST_P(DamagedFormats, CutsAndFlipsNeverCrash) {
  TestFolder folder;
  const std::string whole = ReadFile(Golden(GetParam()));
  const fs::path path = folder / GetParam();
  for (size_t length = 0; length < whole.size(); length += std::max<size_t>(1, whole.size() / 97)) {
    WriteFileForTest(path, whole.substr(0, length));
    ReadDamaged(path);
  }
  for (size_t place = 0; place < whole.size(); place += std::max<size_t>(1, whole.size() / 199)) {
    for (const int bit : {0, 7}) {
      std::string damaged = whole;
      damaged[place] = static_cast<char>(damaged[place] ^ 1 << bit);
      WriteFileForTest(path, damaged);
      ReadDamaged(path);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, DamagedFormats,
                         testing::Values("f4_little_c.npy", "v3.npy", "stored.npz", "deflated.npz", "zip64.npz",
                                         "f2.safetensors", "arrays.jsonl", "objects.jsonl"));

TEST(DamagedArchives, CutsOfAnArchiveAreNoticed) {
  TestFolder folder;
  for (const char* name : {"stored.npz", "deflated.npz", "zip64.npz", "f4_big_c.npy"}) {
    const std::string whole = ReadFile(Golden(name));
    for (const size_t cut : {size_t{1}, whole.size() / 2}) {
      WriteFileForTest(folder / name, whole.substr(0, whole.size() - cut));
      EXPECT_THROW(ActivationReader::Open(folder / name), Error) << name << " " << cut;
    }
  }
  // A changed value of a member fails its checksum.
  std::string stored = ReadFile(Golden("stored.npz"));
  const float value = GoldenRow(4)[6];
  const size_t place = stored.rfind(std::string(reinterpret_cast<const char*>(&value), 4));
  ASSERT_NE(place, std::string::npos);
  stored[place + 1] = static_cast<char>(stored[place + 1] ^ 1);
  WriteFileForTest(folder / "stored.npz", stored);
  EXPECT_NLA_ERROR(ActivationReader::Open(folder / "stored.npz", "acts"), "the checksum of member acts.npy is wrong");
}

TEST(ActivationFiles, ManyLinesSeekFromMarks) {
  TestFolder folder;
  std::string text;
  for (int i = 1; i <= 3000; ++i) text += "[" + std::to_string(i) + ", 1]\n";
  WriteFileForTest(folder / "a.jsonl", text);
  ActivationReader reader = ActivationReader::Open(folder / "a.jsonl");
  EXPECT_EQ(reader.row_count(), 3000);
  for (const int64_t row : {1023, 1024, 2999, 0, 2048, 1500}) {
    reader.Seek(row);
    EXPECT_EQ(reader.Next(1).at(0).activation[0], static_cast<float>(row + 1));
  }
}

class VectorWriters : public testing::TestWithParam<const char*> {};

TEST_P(VectorWriters, RowsComeBackAsWritten) {
  TestFolder folder;
  const fs::path path = folder / GetParam();
  const std::vector<float> values = {1.5F, -2, 0.1F, 4, 5e-30F, 6, 7, 8, 1e30F};
  const auto writer = VectorWriter::Open(path, 3, 3);
  writer->Append({values.data(), 6});
  EXPECT_FALSE(fs::exists(path));
  writer->Append({values.data() + 6, 3});
  writer->Finish();
  EXPECT_EQ(FormatOf(path), FormatByEnding(path));
  ActivationReader reader = ActivationReader::Open(path);
  std::vector<float> read;
  for (const ActivationRow& row : reader.Next(9)) read.insert(read.end(), row.activation.begin(), row.activation.end());
  EXPECT_EQ(read, values);
}

// numpy and safetensors read what is written.
TEST(VectorFiles, OtherToolsReadThem) {
  TestFolder folder;
  const std::vector<float> values = {1.5F, -2, 0.1F, 4, 5, 6};
  for (const char* name : {"a.npy", "a.safetensors", "a.jsonl"}) {
    const auto writer = VectorWriter::Open(folder / name, 2, 3);
    writer->Append(values);
    writer->Finish();
  }
  EXPECT_EQ(RunPython(folder, R"(
import json, sys, numpy as np, safetensors.numpy
wanted = np.array([[1.5, -2, 0.1], [4, 5, 6]], dtype=np.float32)
made = np.load(sys.argv[1] + '/a.npy')
assert made.dtype == np.float32 and (made == wanted).all(), made
made = safetensors.numpy.load_file(sys.argv[1] + '/a.safetensors')['activation_vector']
assert made.dtype == np.float32 and (made == wanted).all(), made
made = [json.loads(line)['activation_vector'] for line in open(sys.argv[1] + '/a.jsonl')]
assert (np.array(made, dtype=np.float32) == wanted).all(), made
)"),
            0);
}

INSTANTIATE_TEST_SUITE_P(All, VectorWriters, testing::Values("a.npy", "a.safetensors", "a.jsonl"));

}  // namespace
}  // namespace nla
