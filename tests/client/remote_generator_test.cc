// Weights given to a server, and replies that must be of them.
#include "client/remote_generator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error_testing.h"
#include "client/fake_server_testing.h"

namespace nla {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr int64_t kRequests = 5;

class RemoteGeneratorTest : public testing::Test {
 protected:
  json Sglang(const json& more = json::object()) const {
    json behaviour = {{"kind", "sglang"}, {"info", {{"model_path", "m"}, {"disable_radix_cache", true}}}};
    behaviour.update(more);
    return behaviour;
  }
  json Vllm(const json& more = json::object()) const {
    json behaviour = {{"kind", "vllm"}};
    behaviour.update(more);
    return behaviour;
  }
  // The names of the models that a vLLM has.
  std::vector<std::string> Models(const FakeServer& server) const {
    HttpClient client;
    std::vector<std::string> names;
    const json list = json::parse(client.Run({.url = server.url() + "/v1/models"}).body);
    for (const json& model : list["data"]) names.push_back(model["id"]);
    return names;
  }
  RemoteGenerator Generator(const FakeServer& server) const {
    RemoteOptions options;
    options.address.url = server.url();
    options.http.first_wait = 0.01;
    options.http.longest_wait = 0.02;
    options.http.retries = 3;
    return {options, {.d_model = kTinyWidth, .largest_norm = {}, .stop_ids = inputs_.StopIds()}};
  }
  std::vector<RemoteReply> Run(const RemoteGenerator& generator, const std::string& version) const {
    std::vector<RemoteReply> replies(kRequests);
    generator.Run(
        kRequests,
        [&](int64_t i) -> std::optional<RemoteGenerator::Prompt> {
          SamplingOptions sampling;
          sampling.stop_ids = inputs_.StopIds();
          return RemoteGenerator::Prompt{inputs_.PromptRows(vectors_), sampling, static_cast<uint64_t>(i)};
        },
        [&](int64_t i, RemoteReply reply) { replies[static_cast<size_t>(i)] = std::move(reply); }, version);
    return replies;
  }

  TinyPair tiny_;
  ActorInputs inputs_ = ActorInputs::Load(tiny_.Source("av_known"));
  std::vector<float> vectors_ = RandomVectors(1, 3);
};

TEST_F(RemoteGeneratorTest, AsksAgainForRepliesOfOtherWeights) {
  const FakeServer server(tiny_, Sglang({{"spoil", {"stale", "stale"}}}));
  const RemoteGenerator generator = Generator(server);
  generator.LoadWeights("/weights", "step-1");
  for (const RemoteReply& reply : Run(generator, "step-1")) {
    EXPECT_EQ(reply.weight_version, "step-1");
    EXPECT_EQ(reply.ids.size(), 3);
    ASSERT_TRUE(reply.stop_token);
    EXPECT_EQ(reply.stop_token->first, inputs_.StopIds()[0]);
    EXPECT_EQ(reply.stop_token->second, -0.25);
  }
  EXPECT_EQ(server.Requests().size(), kRequests + 2);
  EXPECT_THAT(Refusal([&] { Run(generator, "step-2"); }), HasSubstr("is of the weights step-1, not step-2"));
  EXPECT_EQ(Run(generator, "").size(), kRequests);
}

TEST_F(RemoteGeneratorTest, SaysWhyWeightsWereNotLoaded) {
  const FakeServer server(tiny_, Sglang());
  EXPECT_THAT(Refusal([&] { Generator(server).LoadWeights("/missing", "step-1"); }),
              HasSubstr("/missing must be a path that the server can read"));
}

TEST_F(RemoteGeneratorTest, AsksAVllmForTheAdaptersOfTheVersion) {
  const FakeServer server(tiny_, Vllm({{"spoil", {"stale"}}}));
  const RemoteGenerator generator = Generator(server);
  generator.LoadWeights("/weights", "run-step-1");
  for (const RemoteReply& reply : Run(generator, "run-step-1")) EXPECT_EQ(reply.weight_version, "run-step-1");
  EXPECT_EQ(server.Requests().size(), kRequests + 1);
  for (const json& request : server.Requests()) EXPECT_EQ(request["model"], "run-step-1");
  EXPECT_EQ(Run(generator, "")[0].weight_version, "the-model");
}

TEST_F(RemoteGeneratorTest, LeavesAVllmNoAdaptersButTheNewest) {
  const FakeServer server(tiny_, Vllm());
  const RemoteGenerator generator = Generator(server);
  generator.LoadWeights("/others", "of-others");
  generator.LoadWeights("/weights", "killed-step-3");
  generator.LoadWeights("/weights", "run-step-0");
  generator.LoadWeights("/weights", "run-step-1");
  EXPECT_THAT(Models(server), testing::ElementsAre("the-model", "of-others", "run-step-1"));
  // Of a try whose answer was lost.
  generator.LoadWeights("/weights", "run-step-1");
  EXPECT_THAT(Models(server), testing::ElementsAre("the-model", "of-others", "run-step-1"));
  EXPECT_THAT(Refusal([&] { Run(generator, "run-step-0"); }), HasSubstr("has no adapters run-step-0 any more"));
}

TEST_F(RemoteGeneratorTest, SaysWhyAVllmDidNotLoadAdapters) {
  const auto refusal = [&](const json& behaviour, const std::string& directory = "/weights") {
    const FakeServer server(tiny_, Vllm(behaviour));
    return Refusal([&] { Generator(server).LoadWeights(directory, "run-step-1"); });
  };
  EXPECT_THAT(refusal({{"lora", false}}), HasSubstr("VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"));
  EXPECT_THAT(refusal(json::object(), "/missing"), HasSubstr("/missing must be a path that the server can read"));
  const json rank = {500, "LoRA rank 64 is greater than max_lora_rank 16."};
  EXPECT_THAT(refusal({{"lora", rank}}), HasSubstr("--max-lora-rank of the adapters' rank"));
  const json off = {500, "LoRA is not enabled. Use --enable-lora to enable LoRA."};
  EXPECT_THAT(refusal({{"lora", off}}), HasSubstr("Start it with --enable-lora"));
  const json odd = {500, "something else"};
  EXPECT_THAT(refusal({{"lora", odd}}), HasSubstr("500 something else"));
}

}  // namespace
}  // namespace nla
