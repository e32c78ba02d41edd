// Fetching from a hub that stumbles: what lies on disk afterwards, and what was asked on the way.
#include "net/pull.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error_testing.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/subprocess.h"
#include "net/hub_testing.h"

namespace nla {
namespace {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const HubRepo kRepo{.name = "owner/name"};
constexpr const char* kWeights = "model.safetensors";

class PullTest : public testing::Test {
 protected:
  PullTest() {
    hub_.Put("config.json", "{\"model_type\": \"llama\"}\n");
    hub_.Put("sub/deep/words.txt", "one\ntwo\n");
    hub_.Put("empty.txt", "");
    hub_.Put(kWeights, SomeBytes(300'000, 1));
    hub_.Put("pytorch_model.bin", SomeBytes(5000, 2));
    options_.http.first_wait = 0.01;
  }

  // What check_hub_library.py prints.
  std::string AskLibrary(const std::string& job, const std::vector<std::string>& files = {}) {
    std::vector<std::string> arguments = {NLA_PYTHON, NLA_SOURCE_DIR "/tests/net/check_hub_library.py", job,
                                          hub_.endpoint(), hub_.cache().string()};
    arguments.insert(arguments.end(), files.begin(), files.end());
    const ProcessResult answer = RunProcess(arguments);
    EXPECT_EQ(answer.exit_code, 0);
    return answer.output;
  }

  PullResult Run() { return Pull(Settings(), kRepo, options_); }
  std::string Refused() {
    return Refusal([&] { Run(); });
  }
  HubSettings Settings() {
    HubSettings settings = hub_.Settings();
    settings.token = token_;
    return settings;
  }
  // Every file of the snapshot is the hub's.
  void ExpectWhole(const PullResult& result) {
    for (const PulledFile& file : result.files) {
      EXPECT_EQ(ReadFile(result.snapshot / file.path), hub_.Content(file.path)) << file.path;
    }
    EXPECT_THAT(Leftovers(), IsEmpty());
  }
  std::vector<std::string> Leftovers() {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(Folder() / "blobs")) {
      if (entry.path().extension() == ".incomplete") names.push_back(entry.path().filename().string());
    }
    return names;
  }
  fs::path Folder() { return hub_.cache() / "models--owner--name"; }
  fs::path WeightsBlob() { return Folder() / "blobs" / Sha256Hex(hub_.Content(kWeights)); }
  // Requests for the weights' bytes.
  std::vector<nlohmann::json> WeightRequests() {
    std::vector<nlohmann::json> found;
    for (const nlohmann::json& request : hub_.Requests()) {
      if (request["port"] == "cdn") found.push_back(request);
    }
    return found;
  }

  TestHub hub_;
  PullOptions options_;
  std::string token_;
};

TEST_F(PullTest, LaysFilesOutAsHuggingfaceHubDoes) {
  hub_.Start();
  const PullResult result = Run();
  EXPECT_EQ(result.commit, kTestCommit);
  EXPECT_EQ(result.snapshot, Folder() / "snapshots" / kTestCommit);
  ASSERT_EQ(result.files.size(), 4U);
  EXPECT_THAT(result.skipped, ElementsAre("pytorch_model.bin"));
  EXPECT_EQ(result.downloaded_bytes, 300'000U + 24 + 8);
  ExpectWhole(result);
  EXPECT_EQ(ReadFile(Folder() / "refs" / "main"), kTestCommit);
  // git's own name of the eight bytes "one\ntwo\n".
  EXPECT_EQ(fs::read_symlink(result.snapshot / "sub/deep/words.txt"),
            "../../../../blobs/814f4a422927b82f5f8a43f8fab6d3839e3983f2");
  EXPECT_EQ(fs::read_symlink(result.snapshot / kWeights), fs::path("../../blobs") / WeightsBlob().filename());
  EXPECT_EQ(CachedSnapshot(hub_.Settings(), kRepo), result.snapshot);

  const size_t asked = hub_.Requests().size();
  const PullResult again = Run();
  EXPECT_EQ(again.downloaded_bytes, 0U);
  EXPECT_EQ(again.files.size(), 4U);
  EXPECT_EQ(hub_.Requests().size(), asked + 2);  // the commit and the list
}

TEST_F(PullTest, TheLibraryFindsWhatWasPulled) {
  hub_.Start();
  const PullResult result = Run();
  std::vector<std::string> files;
  for (const PulledFile& file : result.files) files.push_back(file.path);
  EXPECT_EQ(AskLibrary("read", files), result.snapshot.string() + "\n");
}

TEST_F(PullTest, WhatTheLibraryPulledIsFound) {
  hub_.Start();
  const std::string snapshot = AskLibrary("fill");
  const size_t asked = hub_.Requests().size();
  const PullResult result = Run();
  EXPECT_EQ(snapshot, result.snapshot.string() + "\n");
  EXPECT_EQ(result.downloaded_bytes, 0U);
  EXPECT_EQ(result.files.size(), 4U);
  EXPECT_EQ(hub_.Requests().size(), asked + 2);  // the commit and the list
  ExpectWhole(result);
}

TEST_F(PullTest, TheTokenStaysWithTheHub) {
  token_ = "hf_secret";
  hub_.Start({{"token", "hf_secret"}});
  ExpectWhole(Run());
  EXPECT_EQ(WeightRequests().size(), 1U);
  for (const nlohmann::json& request : hub_.Requests()) {
    EXPECT_EQ(request["authorization"].is_null(), request["port"] == "cdn") << request;
  }
}

TEST_F(PullTest, WaitsAndTriesAgain) {
  hub_.Start({{"fail", {{kWeights, {503, 429, 500}}, {"config.json", {502}}}}});
  ExpectWhole(Run());
  EXPECT_EQ(WeightRequests().size(), 4U);
}

TEST_F(PullTest, GivesUpAfterItsRetries) {
  options_.http.retries = 2;
  hub_.Start({{"fail", {{kWeights, {503, 503, 503, 503}}}}});
  EXPECT_THAT(Refused(), AllOf(HasSubstr("hf:owner/name: model.safetensors cannot be fetched"), HasSubstr("503"),
                               HasSubstr("Try again later")));
  EXPECT_EQ(WeightRequests().size(), 3U);
  EXPECT_FALSE(fs::exists(Folder() / "refs" / "main"));
}

TEST_F(PullTest, DoesNotWaitForHours) {
  hub_.Start({{"fail", {{kWeights, {429}}}}, {"retry_after", "7200"}});
  EXPECT_THAT(Refused(), AllOf(HasSubstr("429"), HasSubstr("7200 seconds")));
  EXPECT_EQ(WeightRequests().size(), 1U);
}

TEST_F(PullTest, ACutBodyIsResumed) {
  hub_.Start({{"cut", {{kWeights, {100'000, 50'000}}}}});
  const PullResult result = Run();
  ExpectWhole(result);
  const std::vector<nlohmann::json> asked = WeightRequests();
  ASSERT_EQ(asked.size(), 3U);
  EXPECT_TRUE(asked[0]["range"].is_null());
  EXPECT_EQ(asked[1]["range"], "bytes=100000-");
  EXPECT_EQ(asked[2]["range"], "bytes=150000-");
  EXPECT_EQ(result.downloaded_bytes, 300'000U + 24 + 8);
}

TEST_F(PullTest, WithoutRangesTheFileComesAnew) {
  hub_.Start({{"cut", {{kWeights, {100'000}}}}, {"no_ranges", true}});
  ExpectWhole(Run());
  EXPECT_EQ(WeightRequests().size(), 2U);
}

TEST_F(PullTest, AnEarlierRunIsResumed) {
  options_.http.retries = 0;
  hub_.Start({{"cut", {{kWeights, {120'000}}}}});
  EXPECT_THAT(Refused(), HasSubstr("what was fetched is kept and resumed"));
  EXPECT_EQ(fs::file_size(WeightsBlob().string() + ".incomplete"), 120'000U);
  EXPECT_FALSE(fs::exists(WeightsBlob()));
  const PullResult result = Run();
  ExpectWhole(result);
  EXPECT_EQ(WeightRequests().back()["range"], "bytes=120000-");
  EXPECT_EQ(result.downloaded_bytes, 180'008U);  // and the words
}

TEST_F(PullTest, AFinishedPartIsCheckedWithoutAsking) {
  hub_.Start();
  fs::create_directories(Folder() / "blobs");
  WriteFileAtomically(WeightsBlob().string() + ".incomplete", hub_.Content(kWeights));
  ExpectWhole(Run());
  EXPECT_THAT(WeightRequests(), IsEmpty());
}

TEST_F(PullTest, ADamagedPartIsFetchedAnew) {
  hub_.Start();
  fs::create_directories(Folder() / "blobs");
  WriteFileAtomically(WeightsBlob().string() + ".incomplete", SomeBytes(200'000, 9));
  ExpectWhole(Run());
  const std::vector<nlohmann::json> asked = WeightRequests();
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_EQ(asked[0]["range"], "bytes=200000-");
  EXPECT_TRUE(asked[1]["range"].is_null());
}

TEST_F(PullTest, WrongBytesAreNeverKept) {
  hub_.Start({{"corrupt", {{kWeights, -1}}}});
  EXPECT_THAT(Refused(), AllOf(HasSubstr("hf:owner/name: model.safetensors: the hash of what was fetched is wrong"),
                               HasSubstr("sha256 " + Sha256Hex(hub_.Content(kWeights)))));
  EXPECT_FALSE(fs::exists(WeightsBlob()));
  EXPECT_THAT(Leftovers(), IsEmpty());
  EXPECT_FALSE(fs::exists(Folder() / "refs" / "main"));
}

TEST_F(PullTest, WrongBytesOnceAreMended) {
  hub_.Start({{"corrupt", {{kWeights, 1}, {"config.json", 1}}}});
  ExpectWhole(Run());
}

TEST_F(PullTest, LongListsComeInPages) {
  hub_.Start({{"page_size", 2}});
  EXPECT_EQ(Run().files.size(), 4U);
}

TEST_F(PullTest, PatternsChoose) {
  options_.include = {"*.bin", "sub/*"};
  options_.exclude = {"*.txt"};
  hub_.Start();
  const PullResult result = Run();
  ASSERT_EQ(result.files.size(), 1U);  // asked for by name, also beside safetensors
  EXPECT_EQ(result.files[0].path, "pytorch_model.bin");
  options_.include = {"nothing"};
  EXPECT_THAT(Refused(), HasSubstr("no file that the patterns choose"));
}

TEST_F(PullTest, RevisionsAreFollowed) {
  hub_.Start({{"revisions", {"main", "refs/pr/1"}}});
  HubRepo repo = HubRepo::Parse("hf:owner/name@refs/pr/1");
  Pull(hub_.Settings(), repo, options_);
  EXPECT_EQ(ReadFile(Folder() / "refs/refs/pr/1"), kTestCommit);
  EXPECT_EQ(CachedSnapshot(hub_.Settings(), repo), Folder() / "snapshots" / kTestCommit);
  repo.revision = kTestCommit;  // a commit needs no ref
  EXPECT_EQ(Pull(hub_.Settings(), repo, options_).downloaded_bytes, 0U);
  EXPECT_FALSE(fs::exists(Folder() / "refs" / kTestCommit));
  repo.revision = "other";
  EXPECT_THAT(Refusal([&] { Pull(hub_.Settings(), repo, options_); }),
              AllOf(HasSubstr("hf:owner/name@other: cannot be read"), HasSubstr("no such revision")));
}

TEST_F(PullTest, SaysWhatIsMissing) {
  hub_.Start({{"token", "right"}});
  EXPECT_THAT(Refused(), AllOf(HasSubstr("no such repository, or it is not public"), HasSubstr("Set HF_TOKEN")));
  token_ = "wrong";
  EXPECT_THAT(Refused(), HasSubstr("The token in use may not read it"));
  token_ = "right";
  EXPECT_THAT(Refusal([&] { Pull(Settings(), HubRepo{.name = "owner/other"}, options_); }),
              AllOf(HasSubstr("hf:owner/other"), HasSubstr("Check the spelling")));
}

TEST_F(PullTest, SaysWhenAccessIsRestricted) {
  hub_.Start({{"restricted", true}});
  EXPECT_THAT(Refused(), AllOf(HasSubstr("access is restricted"), HasSubstr("Ask for access on the model's page")));
}

TEST_F(PullTest, SaysWhenNobodyAnswers) {
  HubSettings settings = hub_.Settings();  // not started: port 0
  options_.http.retries = 1;
  EXPECT_THAT(Refusal([&] { Pull(settings, kRepo, options_); }),
              AllOf(HasSubstr("hf:owner/name: cannot be read"), HasSubstr("HF_ENDPOINT (http://127.0.0.1:0)")));
}

TEST_F(PullTest, PathsThatLeadAwayAreRefused) {
  for (const std::string path : {"../evil", "/etc/evil", "a/../../evil", "a//b", "a\\b", ""}) {
    TestHub hub;
    hub.Start({{"extra_paths", {path}}});
    EXPECT_THAT(Refusal([&] { Pull(hub.Settings(), kRepo, options_); }), HasSubstr("leads out of the repository"))
        << path;
  }
}

TEST_F(PullTest, OfflineTakesWhatIsThere) {
  hub_.Start();
  HubSettings offline = hub_.Settings();
  offline.offline = true;
  EXPECT_THAT(Refusal([&] { Pull(offline, kRepo, options_); }), HasSubstr("HF_HUB_OFFLINE"));
  Run();
  const size_t asked = hub_.Requests().size();
  EXPECT_EQ(Pull(offline, kRepo, options_).files.size(), 4U);
  EXPECT_EQ(hub_.Requests().size(), asked);
}

}  // namespace
}  // namespace nla
