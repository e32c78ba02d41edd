#include "client/reply_journal.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <optional>

#include "base/error_testing.h"
#include "base/file.h"
#include "base/scratch_testing.h"

namespace nla {
namespace {

using testing::HasSubstr;

std::string Line(int64_t row, int64_t sample) {
  return fmt::format(R"({{"index":{},"sample":{},"raw":"some text"}})", row, sample);
}

class ReplyJournalTest : public testing::Test {
 protected:
  fs::path Out() const { return scratch_ / "out.jsonl"; }
  fs::path Journal() const { return scratch_ / "out.jsonl.journal"; }
  ScratchDirectory scratch_;
};

TEST_F(ReplyJournalTest, PutsLinesInOrderAndLeavesNothing) {
  ReplyJournal journal(Out(), "key", false);
  for (const auto& [row, sample] : {std::pair{2, 0}, {0, 1}, {10, 0}, {0, 0}, {1, 0}}) {
    journal.Add(row, sample, Line(row, sample));
  }
  EXPECT_EQ(journal.size(), 5);
  EXPECT_FALSE(fs::exists(Out()));
  journal.Finish();
  EXPECT_EQ(ReadFile(Out()),
            Line(0, 0) + "\n" + Line(0, 1) + "\n" + Line(1, 0) + "\n" + Line(2, 0) + "\n" + Line(10, 0) + "\n");
  EXPECT_EQ(scratch_.Listing().find("journal"), std::string::npos);
}

TEST_F(ReplyJournalTest, GoesOnWhereItWasCut) {
  {
    ReplyJournal journal(Out(), "key", false);
    journal.Add(0, 0, Line(0, 0));
    journal.Add(1, 0, Line(1, 0));
  }
  const std::string whole = ReadFile(Journal());
  // Killed in the middle of any write.
  for (size_t size = 0; size <= whole.size(); ++size) {
    WriteFileAtomically(Journal(), whole.substr(0, size));
    ReplyJournal journal(Out(), "key", false);
    EXPECT_EQ(journal.Has(0, 0), size > whole.find("}\n{\"index\":1") + 1) << size;
    EXPECT_EQ(journal.Has(1, 0), size == whole.size()) << size;
    if (!journal.Has(0, 0)) journal.Add(0, 0, Line(0, 0));
    if (!journal.Has(1, 0)) journal.Add(1, 0, Line(1, 0));
    journal.Finish();
    ASSERT_EQ(ReadFile(Out()), Line(0, 0) + "\n" + Line(1, 0) + "\n") << size;
  }
}

TEST_F(ReplyJournalTest, RefusesWhatIsNotItsOwn) {
  const auto refusal = [&](const std::string& key) { return Refusal([&] { ReplyJournal(Out(), key, false); }); };
  std::optional<ReplyJournal> open(std::in_place, Out(), "key", false);
  open->Add(0, 0, Line(0, 0));
  EXPECT_THAT(refusal("key"), HasSubstr("another process"));
  open.reset();
  EXPECT_THAT(refusal("other"), HasSubstr("another run"));
  {
    const ReplyJournal fresh(Out(), "other", /*replace=*/true);
    EXPECT_EQ(fresh.size(), 0);
  }
  std::ofstream(Journal(), std::ios::app) << "{\"index\": 3}\n";
  EXPECT_THAT(refusal("other"), HasSubstr("is no reply"));
  WriteFileAtomically(Journal(), "a file of someone else\n");
  EXPECT_THAT(refusal("other"), HasSubstr("no journal of replies"));
  WriteFileAtomically(Journal(), "and one without a line break");
  EXPECT_THAT(refusal("other"), HasSubstr("no journal of replies"));
  EXPECT_EQ(ReadFile(Journal()), "and one without a line break");
}

}  // namespace
}  // namespace nla
