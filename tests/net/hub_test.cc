// Names, environment and cache folders of the hub; URLs.
#include "net/hub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error_testing.h"
#include "base/file.h"
#include "base/scratch_testing.h"

namespace nla {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(HubRepo, NamesAreRead) {
  const HubRepo plain = HubRepo::Parse("hf:Qwen/Qwen2.5-7B-Instruct");
  EXPECT_EQ(plain.name, "Qwen/Qwen2.5-7B-Instruct");
  EXPECT_EQ(plain.revision, "main");
  EXPECT_EQ(plain.Shown(), "hf:Qwen/Qwen2.5-7B-Instruct");
  const HubRepo pinned = HubRepo::Parse("hf:a/b@v1.0");
  EXPECT_EQ(pinned.revision, "v1.0");
  EXPECT_EQ(pinned.Shown(), "hf:a/b@v1.0");
  for (const char* wrong : {"a/b", "hf:", "hf:a", "hf:a/", "hf:/b", "hf:a/b/c", "hf:a/..", "hf:../b", "hf:a b/c",
                            "hf:a/b@", "hf:a/b@../x", "hf:a/b@/x"}) {
    EXPECT_THAT(Refusal([&] { HubRepo::Parse(wrong); }), HasSubstr("wanted hf:OWNER/NAME")) << wrong;
  }
}

// Sets variables for a test and puts back what was there.
class HubEnvironment : public testing::Test {
 protected:
  HubEnvironment() {
    for (const char* name : {"HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME", "HF_TOKEN",
                             "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_ENDPOINT", "HF_HUB_OFFLINE"}) {
      const char* value = std::getenv(name);
      before_.emplace_back(name, value == nullptr ? "" : value);
      unsetenv(name);
    }
    setenv("HF_HOME", scratch_.path().c_str(), 1);
  }
  ~HubEnvironment() override {
    for (const auto& [name, value] : before_) {
      if (value.empty()) {
        unsetenv(name.c_str());
      } else {
        setenv(name.c_str(), value.c_str(), 1);
      }
    }
  }
  ScratchDirectory scratch_;
  std::vector<std::pair<std::string, std::string>> before_;
};

TEST_F(HubEnvironment, IsThatOfHuggingfaceHub) {
  HubSettings settings = HubSettings::FromEnvironment();
  EXPECT_EQ(settings.endpoint.find("https://"), 0U);
  EXPECT_EQ(settings.cache, scratch_ / "hub");
  EXPECT_EQ(settings.token, "");
  EXPECT_FALSE(settings.offline);
  WriteFileAtomically(scratch_ / "token", "from_file\n");
  setenv("HF_ENDPOINT", "http://mirror/", 1);
  setenv("HF_HUB_OFFLINE", "1", 1);
  setenv("HF_HUB_CACHE", "/elsewhere", 1);
  settings = HubSettings::FromEnvironment();
  EXPECT_EQ(settings.endpoint, "http://mirror");
  EXPECT_EQ(settings.token, "from_file");
  EXPECT_EQ(settings.cache, "/elsewhere");
  EXPECT_TRUE(settings.offline);
  setenv("HF_TOKEN", "from_environment", 1);
  EXPECT_EQ(HubSettings::FromEnvironment().token, "from_environment");
  unsetenv("HF_HOME");
  unsetenv("HF_HUB_CACHE");
  setenv("XDG_CACHE_HOME", "/caches", 1);
  EXPECT_EQ(HubSettings::FromEnvironment().cache, "/caches/huggingface/hub");
}

TEST_F(HubEnvironment, ModelsResolveToTheCache) {
  EXPECT_EQ(ResolveModel("some/folder"), "some/folder");
  EXPECT_THAT(Refusal([] { ResolveModel("hf:a/b@v1"); }),
              AllOf(HasSubstr("hf:a/b@v1: is not in the cache"), HasSubstr("nla pull hf:a/b@v1")));
  const std::string commit(40, 'c');
  const fs::path folder = scratch_ / "hub/models--a--b";
  WriteFileAtomically(folder / "refs/v1", commit);
  EXPECT_THAT(Refusal([] { ResolveModel("hf:a/b@v1"); }), HasSubstr("is not in the cache"));
  fs::create_directories(folder / "snapshots" / commit);
  EXPECT_EQ(ResolveModel("hf:a/b@v1"), folder / "snapshots" / commit);
  EXPECT_EQ(ResolveModel("hf:a/b@" + commit), folder / "snapshots" / commit);
  WriteFileAtomically(folder / "refs/v1", "../../evil");
  EXPECT_THAT(Refusal([] { ResolveModel("hf:a/b@v1"); }), HasSubstr("is not in the cache"));
}

TEST(Urls, OriginsAreSchemeHostAndPort) {
  EXPECT_TRUE(SameOrigin("https://Hub.example/a", "https://hub.example:443/b?c"));
  EXPECT_FALSE(SameOrigin("https://hub.example/a", "http://hub.example/a"));
  EXPECT_FALSE(SameOrigin("https://hub.example/a", "https://hub.example:8443/a"));
  EXPECT_FALSE(SameOrigin("https://hub.example/a", "https://hub.example.evil/a"));
  EXPECT_FALSE(SameOrigin("", ""));
}

TEST(Urls, ArePercentEncoded) {
  EXPECT_EQ(PercentEncode("a b/c%é-._~"), "a%20b%2Fc%25%C3%A9-._~");
  EXPECT_EQ(PercentEncode("refs/pr/1", "/"), "refs/pr/1");
}

}  // namespace
}  // namespace nla
