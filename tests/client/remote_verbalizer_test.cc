#include "client/remote_verbalizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <set>

#include "base/error_testing.h"
#include "client/fake_server_testing.h"

namespace nla {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

constexpr int64_t kRows = 9;

class RemoteVerbalizerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { tiny_ = std::make_unique<TinyPair>(); }
  static void TearDownTestSuite() { tiny_.reset(); }

  static ActorInputs Inputs(const std::string& side = "av_known") { return ActorInputs::Load(tiny_->Source(side)); }
  static RemoteOptions Options(const FakeServer& server) {
    RemoteOptions options;
    options.address.url = server.url();
    options.concurrency = 4;
    options.http.first_wait = 0.01;
    options.http.longest_wait = 0.02;
    options.http.retries = 6;
    return options;
  }
  static json Sglang(json more = json::object()) {
    json behaviour = {{"kind", "sglang"}, {"info", {{"model_path", "m"}, {"disable_radix_cache", true}}}};
    behaviour.update(more);
    return behaviour;
  }
  static std::string Refused(const RemoteOptions& options) {
    return Refusal([&] {
      const RemoteVerbalizer remote(Inputs(), options);
      remote.Run(vectors_, VerbalizeOptions());
    });
  }
  static std::string Refused(const FakeServer& server) { return Refused(Options(server)); }
  // All rows are explained as the known verbalizer would, whatever the server does meanwhile.
  static void ExpectKnown(const RemoteOptions& options) {
    const RemoteVerbalizer remote(Inputs(), options);
    const std::vector<Verbalization> replies = remote.Run(vectors_, VerbalizeOptions());
    ASSERT_EQ(replies.size(), static_cast<size_t>(kRows));
    for (int64_t i = 0; i < kRows; ++i) {
      const std::string letter = KnownExplanation(vectors_.data() + i * kTinyWidth);
      EXPECT_EQ(replies[i].explanation, letter) << i;
      EXPECT_EQ(replies[i].raw, "<explanation>" + letter + "</explanation>");
      EXPECT_EQ(replies[i].index, i);
      EXPECT_EQ(replies[i].finish_reason, FinishReason::kStop);
      EXPECT_EQ(replies[i].logprob, -0.75);
    }
  }
  static void ExpectKnown(const FakeServer& server) { ExpectKnown(Options(server)); }

  static std::unique_ptr<TinyPair> tiny_;
  static const std::vector<float> vectors_;
};
std::unique_ptr<TinyPair> RemoteVerbalizerTest::tiny_;
const std::vector<float> RemoteVerbalizerTest::vectors_ = RandomVectors(kRows, 3);

TEST_F(RemoteVerbalizerTest, SendsWhatTheServerTakes) {
  const auto field = [](const json& behaviour, const RemoteOptions& wanted = {}) {
    const FakeServer server(*tiny_, behaviour);
    RemoteOptions options = Options(server);
    options.transport = wanted.transport;
    ExpectKnown(options);
    return server.Requests().at(0)["embeds"].at(0).get<std::string>();
  };
  EXPECT_EQ(field(Sglang()), "input_embeds");
  EXPECT_EQ(field(Sglang({{"old", true}})), "input_embeds");
  json ours = Sglang();
  ours["info"] = {{"d_model", kTinyWidth}, {"input_embeds_formats", {"input_embeds", "input_embeds_bytes"}}};
  EXPECT_EQ(field(ours), "input_embeds_bytes");
  EXPECT_EQ(field(ours, {.transport = Transport::kJson}), "input_embeds");
  // A patched SGLang does not say what it takes; its user does.
  EXPECT_EQ(field(Sglang(), {.transport = Transport::kB64Bf16}), "input_embeds_b64_bf16");
}

TEST_F(RemoteVerbalizerTest, AsksForWhatTheOptionsSay) {
  const FakeServer server(*tiny_, Sglang());
  const RemoteVerbalizer remote(Inputs(), Options(server));
  VerbalizeOptions options;
  options.sampling.max_new_tokens = 2;
  options.sampling.temperature = 0.5;
  options.samples = 3;
  options.seed = 9;
  std::map<std::pair<int64_t, int64_t>, FinishReason> seen;
  remote.Run(
      vectors_, options, [](int64_t index, int64_t sample) { return index == 4 && sample == 1; },
      [&](const Verbalization& one) {
        seen[{one.index, one.sample}] = one.finish_reason;
      });
  EXPECT_EQ(seen.size(), static_cast<size_t>(kRows * 3 - 1));
  EXPECT_FALSE(seen.contains({4, 1}));
  for (const auto& [name, finish] : seen) EXPECT_EQ(finish, FinishReason::kLength);
  std::set<uint64_t> seeds;
  for (const json& request : server.Requests()) {
    EXPECT_EQ(request["sampling_params"]["max_new_tokens"], 2);
    seeds.insert(request["sampling_params"]["sampling_seed"].get<uint64_t>());
  }
  EXPECT_EQ(seeds.size(), seen.size());
  EXPECT_LT(*seeds.rbegin(), uint64_t{1} << 53);
}

TEST_F(RemoteVerbalizerTest, ComesAgainAfterFailures) {
  ExpectKnown(FakeServer(*tiny_, Sglang({{"fail", {503, 429, 500, 502}}, {"retry_after", "0"}})));
  for (const char* spoil : {"abort", "retract", "length", "cut"}) {
    SCOPED_TRACE(spoil);
    const FakeServer server(*tiny_, Sglang({{"spoil", {spoil, spoil}}}));
    ExpectKnown(server);
    EXPECT_EQ(server.Requests().size(), static_cast<size_t>(kRows + 2));
  }
}

TEST_F(RemoteVerbalizerTest, GivesUpWithAReason) {
  const std::vector<int> failures(100, 503);
  EXPECT_THAT(Refused(FakeServer(*tiny_, Sglang({{"fail", failures}}))),
              AllOf(HasSubstr("/generate: the server answered 503"), HasSubstr("not now")));
  EXPECT_THAT(Refused(FakeServer(*tiny_, Sglang({{"fail", {400}}}))), HasSubstr("answered 400"));
  const std::vector<std::string> aborts(100, "abort");
  EXPECT_THAT(Refused(FakeServer(*tiny_, Sglang({{"spoil", aborts}}))), HasSubstr("aborted: out of room"));
  EXPECT_THAT(Refused(FakeServer(*tiny_, Sglang({{"spoil", {"garbage"}}}))), HasSubstr("--server-kind"));
  RemoteOptions nowhere;
  nowhere.address.url = "http://127.0.0.1:1";
  nowhere.http = {.retries = 1, .first_wait = 0.01};
  EXPECT_THAT(Refusal([&] { RemoteVerbalizer(Inputs(), nowhere); }), HasSubstr("127.0.0.1:1"));
}

TEST_F(RemoteVerbalizerTest, KeysAreWantedAndSaid) {
  const FakeServer server(*tiny_, Sglang({{"key", "open"}}));
  RemoteOptions options = Options(server);
  EXPECT_THAT(Refused(options), AllOf(HasSubstr("wants a key"), HasSubstr("NLA_API_KEY")));
  options.address.api_key = "shut";
  EXPECT_THAT(Refused(options), HasSubstr("wants another key"));
  options.address.api_key = "open";
  ExpectKnown(options);
}

TEST_F(RemoteVerbalizerTest, ServersThatWouldAnswerWrongAreRefused) {
  json wide = Sglang();
  wide["info"] = {{"d_model", 4096}, {"input_embeds_formats", {"input_embeds"}}, {"served_model_name", "big"}};
  EXPECT_THAT(Refused(FakeServer(*tiny_, wide)), AllOf(HasSubstr("big"), HasSubstr("d_model 4096"), HasSubstr("64")));
  json cached = Sglang();
  cached["info"]["disable_radix_cache"] = false;
  const FakeServer server(*tiny_, cached);
  EXPECT_THAT(Refused(server), HasSubstr("--disable-radix-cache"));
  RemoteOptions forced = Options(server);
  forced.force = true;
  ExpectKnown(forced);
  EXPECT_THAT(Refused(FakeServer(*tiny_, {{"kind", "other"}})), HasSubstr("no server that this program knows"));
}

TEST_F(RemoteVerbalizerTest, KindsAreToldApartOrSaid) {
  // Without /server_info, by who owns the model.
  const FakeServer bare(*tiny_, {{"kind", "sglang"}});
  EXPECT_EQ(RemoteVerbalizer(Inputs(), Options(bare)).server().model, "the-model");
  const FakeServer hidden(*tiny_, {{"kind", "other"}});
  RemoteOptions said = Options(hidden);
  said.kind = ServerKind::kSglang;
  ExpectKnown(said);
  const FakeServer vllm(*tiny_, {{"kind", "vllm"}, {"info", {{"vllm_config", "…"}}}});
  EXPECT_EQ(RemoteVerbalizer(Inputs(), Options(vllm)).server().kind, ServerKind::kVllm);
  RemoteOptions bytes = Options(vllm);
  bytes.transport = Transport::kBytes;
  EXPECT_THAT(Refused(bytes), HasSubstr("prompt_embeds alone"));
}

TEST_F(RemoteVerbalizerTest, RoundingIsRefusedWhereItWouldShow) {
  const FakeServer server(*tiny_, Sglang());
  RemoteOptions options = Options(server);
  options.transport = Transport::kB64Bf16;
  TinyPair large;
  EditSidecar(large / "av_known", [](ModelSidecar& sidecar) { sidecar.injection_scale.number = 1000; });
  EXPECT_THAT(Refusal([&] { RemoteVerbalizer(ActorInputs::Load(large.Source("av_known")), options); }),
              AllOf(HasSubstr("--transport b64_bf16"), HasSubstr("injection_scale 1000")));
}

TEST_F(RemoteVerbalizerTest, NanIsRefusedByRow) {
  const FakeServer server(*tiny_, Sglang());
  std::vector<float> vectors = vectors_;
  vectors[2 * kTinyWidth + 1] = std::numeric_limits<float>::infinity();
  const RemoteVerbalizer remote(Inputs(), Options(server));
  EXPECT_THAT(Refusal([&] { remote.Run(vectors, VerbalizeOptions()); }), HasSubstr("activation 2"));
  EXPECT_TRUE(remote.Run({}, VerbalizeOptions()).empty());
  EXPECT_TRUE(server.Requests().empty());
}

}  // namespace
}  // namespace nla
