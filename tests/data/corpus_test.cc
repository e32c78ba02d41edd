// Corpora: every kind of file, folders, the numbering of documents, and what is refused.
#include "data/corpus.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "data/data_testing.h"

namespace nla {
namespace {

std::vector<std::string> Texts(const std::vector<fs::path>& paths, const std::string& field = "text") {
  CorpusReader reader(paths, field);
  std::vector<std::string> texts;
  while (auto document = reader.Next()) {
    EXPECT_EQ(document->index, static_cast<int64_t>(texts.size()));
    texts.push_back(std::move(document->text));
  }
  EXPECT_FALSE(reader.Next().has_value());
  return texts;
}

using Strings = std::vector<std::string>;

TEST(Corpus, JsonLines) {
  TestFolder folder;
  WriteFileForTest(
      folder / "a.jsonl",
      "{\"text\": \"one\\nline \\u00e9\", \"n\": 1}\n\n  \r\n{\"text\": \"\"}\r\n{\"id\":2,\"text\":\"last\"}");
  EXPECT_EQ(Texts({folder / "a.jsonl"}), (Strings{"one\nline é", "", "last"}));
  WriteFileForTest(folder / "b.jsonl", "{\"body\": \"x\"}\n");
  EXPECT_EQ(Texts({folder / "b.jsonl"}, "body"), (Strings{"x"}));
}

TEST(Corpus, BadLinesAreNamed) {
  TestFolder folder;
  const auto read = [&](const std::string& line) {
    WriteFileForTest(folder / "a.jsonl", "{\"text\": \"fine\"}\n\n" + line + "\n");
    return Texts({folder / "a.jsonl"});
  };
  EXPECT_NLA_ERROR(read("{\"text\": \"cut"), "a.jsonl: line 3: not JSON");
  EXPECT_NLA_ERROR(read("{\"text\": \"\xff\"}"), "line 3: not JSON");
  EXPECT_NLA_ERROR(read("{\"txt\": \"\"}"), "line 3: the text is missing");
  EXPECT_NLA_ERROR(read("{\"text\": 3}"), "line 3: the text is no text: found number");
  EXPECT_NLA_ERROR(read("{\"text\": null}"), "found null");
  EXPECT_NLA_ERROR(read("[1]"), "line 3: not a document: found array");
}

TEST(Corpus, FoldersAreWalkedInOrderAndNumberedThrough) {
  TestFolder folder;
  WriteFileForTest(folder / "c/b/two.txt", "two\n");
  WriteFileForTest(folder / "c/a.jsonl", "{\"text\":\"one\"}\n{\"text\":\"one b\"}\n");
  WriteFileForTest(folder / "c/z.txt", "");
  WriteFileForTest(folder / "c/notes.md", "not part of it");
  ASSERT_EQ(RunPython(folder, R"(
import sys, pyarrow as pa, pyarrow.parquet as pq
text = pa.chunked_array([pa.array(['three', 'four'], pa.large_string())])
pq.write_table(pa.table({'n': [1, 2], 'text': text}), sys.argv[1] + '/c/p.parquet', row_group_size=1)
)"),
            0);
  EXPECT_EQ(Texts({folder / "c"}), (Strings{"one", "one b", "two\n", "three", "four", ""}));
  EXPECT_EQ(Texts({folder / "c/z.txt", folder / "c/b"}), (Strings{"", "two\n"}));
}

TEST(Corpus, WhatIsNoCorpusIsRefused) {
  TestFolder folder;
  fs::create_directory(folder / "empty");
  WriteFileForTest(folder / "a.md", "x");
  WriteFileForTest(folder / "broken.parquet", "PAR1");
  EXPECT_NLA_ERROR(CorpusReader({folder / "empty"}), "no corpus files in the folder");
  EXPECT_NLA_ERROR(CorpusReader({folder / "absent"}), "the corpus does not exist");
  EXPECT_NLA_ERROR(CorpusReader({folder / "a.md"}), "unknown kind of corpus file");
  EXPECT_NLA_ERROR(Texts({folder / "broken.parquet"}), "broken.parquet");
  ASSERT_EQ(RunPython(folder, R"(
import sys, pyarrow as pa, pyarrow.parquet as pq
pq.write_table(pa.table({'text': ['a', None]}), sys.argv[1] + '/null.parquet')
pq.write_table(pa.table({'text': [1]}), sys.argv[1] + '/number.parquet')
pq.write_table(pa.table({'body': ['a']}), sys.argv[1] + '/other.parquet')
)"),
            0);
  EXPECT_NLA_ERROR(Texts({folder / "null.parquet"}), "null.parquet: row 1: the text is null");
  EXPECT_NLA_ERROR(Texts({folder / "number.parquet"}), "unsupported type: found int64");
  EXPECT_NLA_ERROR(Texts({folder / "other.parquet"}), "no column text");
  EXPECT_TRUE(Texts({}).empty());
}

}  // namespace
}  // namespace nla
