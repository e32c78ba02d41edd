// Reads, maps and atomic replacement: what is on disk after success, failure, a full disk and a killed writer.
#include "base/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <utility>

#include "base/scratch_testing.h"
#include "nla/error.h"

namespace nla {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string MessageOf(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::string_view AsText(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(ReadFile, ReadsAllBytes) {
  const ScratchDirectory scratch;
  const std::string bytes = std::string("a\0b\xff", 4) + std::string(200'000, 'z');
  WriteFileAtomically(scratch / "file", bytes);
  EXPECT_EQ(ReadFile(scratch / "file"), bytes);
  WriteFileAtomically(scratch / "file", "");
  EXPECT_EQ(ReadFile(scratch / "file"), "");
  EXPECT_FALSE(ReadFile("/proc/self/status").empty()) << "a file that reports no size";
}

TEST(ReadFile, NamesThePathAndTheReason) {
  const ScratchDirectory scratch;
  const std::string missing = scratch / "missing";
  EXPECT_EQ(MessageOf([&] { ReadFile(missing); }), missing + ": cannot open: No such file or directory");
  EXPECT_THAT(MessageOf([&] { ReadFile(scratch.path()); }), HasSubstr("is a directory"));
}

TEST(ReadFile, RefusesMoreThanTheLimit) {
  const ScratchDirectory scratch;
  WriteFileAtomically(scratch / "file", "12345");
  EXPECT_EQ(ReadFile(scratch / "file", 5), "12345");
  EXPECT_THAT(MessageOf([&] { ReadFile(scratch / "file", 4); }), HasSubstr("found 5 bytes, wanted at most 4"));
}

TEST(MappedFile, MapsMovesAndOutlivesItsName) {
  const ScratchDirectory scratch;
  WriteFileAtomically(scratch / "file", "mapped");
  MappedFile first = MappedFile::Open(scratch / "file");
  fs::remove(scratch / "file");
  MappedFile second = std::move(first);
  EXPECT_EQ(AsText(second.bytes()), "mapped");
  WriteFileAtomically(scratch / "empty", "");
  EXPECT_TRUE(MappedFile::Open(scratch / "empty").bytes().empty());
  second = MappedFile::Open(scratch / "empty");
  EXPECT_TRUE(second.bytes().empty());
  EXPECT_THROW(MappedFile::Open(scratch / "missing"), Error);
  EXPECT_THROW(MappedFile::Open(scratch.path()), Error);
}

TEST(AtomicFile, ReplacesOnlyOnCommit) {
  const ScratchDirectory scratch;
  WriteFileAtomically(scratch / "file", "old");
  {
    AtomicFile file(scratch / "file");
    file.Write("new!");
    EXPECT_EQ(ReadFile(scratch / "file"), "old");
    file.WriteAt(1, std::as_bytes(std::span("EW", 2)));
    EXPECT_EQ(file.size(), 4U);
    file.Commit();
  }
  EXPECT_EQ(ReadFile(scratch / "file"), "nEW!");
  EXPECT_EQ(scratch.Listing(), "file");
}

TEST(AtomicFile, WithoutCommitLeavesNothing) {
  const ScratchDirectory scratch;
  { AtomicFile(scratch / "file").Write("half"); }
  EXPECT_EQ(scratch.Listing(), "");
}

TEST(AtomicFile, CreatesItsFolder) {
  const ScratchDirectory scratch;
  WriteFileAtomically(scratch / "a/b/file", "x");
  EXPECT_EQ(ReadFile(scratch / "a/b/file"), "x");
}

TEST(AtomicFile, RefusesADirectoryAndAFileForAFolder) {
  const ScratchDirectory scratch;
  WriteFileAtomically(scratch / "file", "x");
  EXPECT_THAT(MessageOf([&] { AtomicFile file(scratch.path()); }), HasSubstr("is a directory"));
  EXPECT_THAT(MessageOf([&] { AtomicFile file(scratch / "file/inside"); }), HasSubstr("Not a directory"));
}

TEST(AtomicFile, KeepsTheModeOfTheProcess) {
  const ScratchDirectory scratch;
  const mode_t mask = umask(022);
  WriteFileAtomically(scratch / "file", "x");
  umask(mask);
  EXPECT_EQ(fs::status(scratch / "file").permissions() & fs::perms::mask, fs::perms(0644));
}

// A full disk: the kernel refuses writes past RLIMIT_FSIZE with EFBIG once SIGXFSZ is ignored; the path taken is the
// same.
TEST(AtomicFile, FailedWriteLeavesTheOldFileAndNoOther) {
  const ScratchDirectory scratch;
  WriteFileAtomically(scratch / "file", "old");
  const auto old_handler = signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit{};
  getrlimit(RLIMIT_FSIZE, &old_limit);
  rlimit limit = old_limit;
  limit.rlim_cur = 100'000;
  setrlimit(RLIMIT_FSIZE, &limit);
  const std::string message = MessageOf([&] { WriteFileAtomically(scratch / "file", std::string(300'000, 'x')); });
  setrlimit(RLIMIT_FSIZE, &old_limit);
  signal(SIGXFSZ, old_handler);
  EXPECT_EQ(message, (scratch / "file").string() + ": cannot write: File too large");
  EXPECT_EQ(ReadFile(scratch / "file"), "old");
  EXPECT_EQ(scratch.Listing(), "file");
}

TEST(AtomicFile, KilledWriterLeavesTheOldFile) {
  const ScratchDirectory scratch;
  WriteFileAtomically(scratch / "file", "old");
  const pid_t child = fork();
  if (child == 0) {
    AtomicFile file(scratch / "file");
    file.Write("half");
    raise(SIGKILL);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(ReadFile(scratch / "file"), "old");
}

TEST(AtomicDirectory, AppearsWholeOrNotAtAll) {
  const ScratchDirectory scratch;
  {
    AtomicDirectory directory(scratch / "out/");
    WriteFileAtomically(directory.temporary_path() / "sub/file", "x");
    EXPECT_FALSE(fs::exists(scratch / "out"));
    directory.Commit();
  }
  EXPECT_EQ(scratch.Listing(), "out out/sub out/sub/file");
  { AtomicDirectory abandoned(scratch / "other"); }
  EXPECT_EQ(scratch.Listing(), "out out/sub out/sub/file");
}

TEST(AtomicDirectory, ReplacesOnlyWhenAsked) {
  const ScratchDirectory scratch;
  WriteFileAtomically(scratch / "out/old", "x");
  EXPECT_THAT(MessageOf([&] { AtomicDirectory directory(scratch / "out"); }),
              AllOf(HasSubstr("already exists"), HasSubstr("Remove it")));
  {
    AtomicDirectory directory(scratch / "out", true);
    WriteFileAtomically(directory.temporary_path() / "new", "x");
    directory.Commit();
  }
  EXPECT_EQ(scratch.Listing(), "out out/new");
}

}  // namespace
}  // namespace nla
