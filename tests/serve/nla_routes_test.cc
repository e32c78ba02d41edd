// The /v1/nla routes over a pair whose verbalizer's replies are known beforehand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/base64.h"
#include "nla/metrics.h"
#include "serve/float_bytes.h"
#include "serve/service_testing.h"

namespace nla::serve {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr const char* kText = "the ship 12";

class NlaRoutesTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    tiny_ = std::make_unique<TinyPair>();
    tiny_->WriteHeldOut(40, false);
    ModelChoice choice;
    choice.pair = tiny_->Assemble("pair", "av_known", "ar");
    service_ = std::make_unique<TestService>(choice);
  }
  static void TearDownTestSuite() {
    service_.reset();
    tiny_.reset();
  }
  static json Post(const std::string& route, const json& body) { return service_->Post("/v1/nla/" + route, body); }
  static std::string Refused(const std::string& route, const json& body) {
    return service_->Refused("/v1/nla/" + route, body);
  }
  static json Nested(const std::vector<float>& values) {
    json rows = json::array();
    for (size_t at = 0; at < values.size(); at += kTinyWidth) {
      rows.push_back(std::vector<float>(values.begin() + at, values.begin() + at + kTinyWidth));
    }
    return rows;
  }
  static void ExpectKnown(const json& rows, const std::vector<float>& vectors) {
    ASSERT_EQ(rows.size(), vectors.size() / kTinyWidth);
    for (size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(rows[i]["index"], i);
      EXPECT_EQ(rows[i]["explanation"], KnownExplanation(vectors.data() + i * kTinyWidth)) << i;
      EXPECT_EQ(rows[i]["ok"], true);
      EXPECT_EQ(rows[i]["finish_reason"]["type"], "stop");
    }
  }

  static std::unique_ptr<TinyPair> tiny_;
  static std::unique_ptr<TestService> service_;
};
std::unique_ptr<TinyPair> NlaRoutesTest::tiny_;
std::unique_ptr<TestService> NlaRoutesTest::service_;

TEST_F(NlaRoutesTest, VerbalizeTakesActivationsInEveryForm) {
  const std::vector<float> vectors = RandomVectors(9, 5);
  const json answer = Post("verbalize", {{"activations", Nested(vectors)}});
  ExpectKnown(answer["rows"], vectors);
  const json& provenance = answer["provenance"];
  EXPECT_EQ(provenance["model"], "tiny");
  EXPECT_EQ(provenance["layer"], kTinyLayer);
  EXPECT_EQ(provenance["av"]["weight_version"], "default");
  EXPECT_EQ(provenance["ar"]["weights_hash"].get<std::string>().size(), 64U);
  EXPECT_EQ(provenance["prompt_hash"].get<std::string>().size(), 64U);
  EXPECT_TRUE(provenance["seed"].is_number());
  EXPECT_EQ(provenance["sampler"]["temperature"], 0);

  ExpectKnown(
      Post("verbalize", {{"activations_b64", EncodeBase64(Fp32Bytes(vectors))}, {"shape", {9, kTinyWidth}}})["rows"],
      vectors);
  const std::vector<float> one(vectors.begin(), vectors.begin() + kTinyWidth);
  ExpectKnown(Post("verbalize", {{"activations", one}})["rows"], one);

  HttpRequest octets;
  octets.method = "POST";
  octets.path = "/v1/nla/verbalize";
  octets.headers["Content-Type"] = "application/octet-stream";
  octets.query["d"] = std::to_string(kTinyWidth);
  octets.body = Fp32Bytes(vectors);
  TestLink link;
  ExpectKnown(service_->Ask(octets, link).json()["rows"], vectors);
  octets.query.clear();
  octets.headers["X-NLA-D"] = "63";
  EXPECT_THAT(service_->Ask(octets, link).body, HasSubstr("found 63, wanted 64"));
}

TEST_F(NlaRoutesTest, SamplesStreamsAndSamplers) {
  const std::vector<float> vectors = RandomVectors(2, 6);
  const json body{{"activations", Nested(vectors)}, {"sampling_params", {{"n", 2}}}};
  const json rows = Post("verbalize", body)["rows"];
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[3]["index"], 1);
  EXPECT_EQ(rows[3]["sample"], 1);
  const std::vector<json> events = service_->Stream("/v1/nla/verbalize", body);
  EXPECT_TRUE(events.back().contains("provenance"));
  std::map<std::pair<int, int>, json> last;
  for (size_t i = 0; i + 1 < events.size(); ++i) last[{events[i].at("index"), events[i].at("sample")}] = events[i];
  ASSERT_EQ(last.size(), 4U);
  for (const json& row : rows) EXPECT_EQ(last.at({row["index"], row["sample"]})["raw"], row["raw"]);
}

TEST_F(NlaRoutesTest, ManyRowsAreWorkedOffAndAbortedTogether) {
  const std::vector<float> vectors = RandomVectors(400, 8);
  const json body{{"activations", Nested(vectors)}};
  ExpectKnown(Post("verbalize", body)["rows"], vectors);

  service_->Post("/pause_generation", {{"mode", "in_place"}});
  std::thread asks([&] {
    const json rows = Post("verbalize", body)["rows"];
    ASSERT_EQ(rows.size(), 400U);
    for (const json& row : rows) EXPECT_EQ(row["finish_reason"]["type"], "abort");
  });
  while (service_->models().main().engine->counts().waiting < 128) std::this_thread::yield();
  service_->Post("/abort_request", {{"abort_all", true}});
  asks.join();
  service_->Post("/continue_generation", json::object());
}

TEST_F(NlaRoutesTest, ExplainIsExtractVerbalizeAndScore) {
  const json extracted = Post("extract", {{"text", kText}, {"positions", {0, -1}}});
  ASSERT_EQ(extracted["activations"].size(), 2U);
  EXPECT_EQ(extracted["layer"], kTinyLayer);
  const json explained = Post("explain", {{"text", kText}, {"positions", {0, -1}}});
  ASSERT_EQ(explained["tokens"].size(), 2U);
  const json verbalized = Post("verbalize", {{"activations", extracted["activations"]}});
  json explanations = json::array();
  for (size_t i = 0; i < 2; ++i) {
    const json& token = explained["tokens"][i];
    EXPECT_EQ(token["position"], extracted["tokens"][i]["position"]);
    EXPECT_EQ(token["token"], extracted["tokens"][i]["token"]);
    EXPECT_EQ(token["explanation"], verbalized["rows"][i]["explanation"]);
    explanations.push_back(token["explanation"]);
  }
  const json scored = Post("score", {{"explanations", explanations}, {"activations", extracted["activations"]}});
  for (size_t i = 0; i < 2; ++i) {
    for (const char* score : {"cosine", "mse", "fve_raw_variance", "fve_mean_norm"}) {
      EXPECT_NEAR(scored["rows"][i][score].get<double>(), explained["tokens"][i][score].get<double>(), 1e-6) << score;
    }
  }
  const std::vector<json> events = service_->Stream("/v1/nla/explain", {{"text", kText}, {"positions", {0, -1}}});
  int scores = 0;
  for (const json& event : events) scores += event.contains("cosine") ? 1 : 0;
  EXPECT_EQ(scores, 2);
  EXPECT_EQ(Post("explain", {{"text", kText}, {"positions", "all"}})["tokens"].size(),
            Post("tokenize", {{"text", kText}})["n"]);
  EXPECT_EQ(Post("explain", {{"text", kText}})["tokens"].size(), 1U);
}

TEST_F(NlaRoutesTest, ReconstructAndCompare) {
  const json two = Post("reconstruct", {{"explanations", {"a", "b"}}});
  ASSERT_EQ(two["vectors"].size(), 2U);
  const auto a = two["vectors"][0].get<std::vector<float>>();
  const auto b = two["vectors"][1].get<std::vector<float>>();
  ASSERT_EQ(a.size(), static_cast<size_t>(kTinyWidth));
  const json packed = Post("reconstruct", {{"explanations", {"a", "b"}}, {"encoding", "base64"}})["vectors"];
  const std::vector<float> unpacked =
      FloatsFromBytes(DecodeBase64(packed["data"].get<std::string>(), "x"), FloatFormat::kFp32, "x");
  EXPECT_EQ(std::vector<float>(unpacked.begin(), unpacked.begin() + kTinyWidth), a);
  EXPECT_EQ(packed["shape"], json({2, kTinyWidth}));

  EXPECT_NEAR(Post("compare", {{"text_a", "a"}, {"text_b", "b"}})["cosine"].get<double>(), Cosine(a, b), 1e-6);
  EXPECT_NEAR(Post("compare", {{"text_a", "a"}, {"vector_b", b}})["mse"].get<double>(), DirectionMse(a, b), 1e-5);
  EXPECT_NEAR(Post("compare", {{"vector_a", {1, 0}}, {"vector_b", {0, 1}}})["cosine"].get<double>(), 0, 1e-9);
  EXPECT_THAT(Refused("compare", {{"vector_a", {1, 0}}, {"vector_b", {1}}}),
              HasSubstr("different widths: found 2 and 1"));
  EXPECT_THAT(Refused("compare", {{"text_a", "a"}}), HasSubstr("text_b: is missing"));
  EXPECT_THAT(Refused("compare", {{"vector_a", json::array()}, {"vector_b", json::array()}}),
              HasSubstr("vector_a: is empty"));
}

TEST_F(NlaRoutesTest, Tokenize) {
  const json answer = Post("tokenize", {{"text", kText}});
  const auto ids = service_->models().chat().tokenizer->Encode(kText);
  EXPECT_EQ(answer["ids"], json(ids));
  EXPECT_EQ(answer["offsets"][0][0], 0);
  EXPECT_EQ(answer["offsets"].back()[1], std::string(kText).size());
}

TEST_F(NlaRoutesTest, RefusalsNameTheField) {
  EXPECT_THAT(Refused("verbalize", json::object()), HasSubstr("activations: is missing"));
  EXPECT_THAT(Refused("verbalize", {{"activations", {1, 2}}}),
              HasSubstr("rows of another width than the pair's: found 2, wanted 64"));
  EXPECT_THAT(Refused("verbalize", {{"activations", json::array()}}), HasSubstr("wanted 64"));
  EXPECT_THAT(Refused("verbalize", {{"activations_b64", "AAAA"}, {"shape", {1, kTinyWidth}}}), HasSubstr("is cut"));
  EXPECT_THAT(Refused("verbalize", {{"activations_b64", EncodeBase64(std::string(kTinyWidth * 4, '\xff'))},
                                    {"shape", {kTinyWidth}}}),
              HasSubstr("holds NaN or Inf"));
  EXPECT_THAT(Refused("verbalize", {{"activations", Nested(RandomVectors(1025, 1))}}), HasSubstr("too many rows"));
  EXPECT_THAT(Refused("explain", {{"text", ""}}), HasSubstr("text: is missing or empty"));
  EXPECT_THAT(Refused("explain", {{"text", "a"}, {"ids", {1}}}), HasSubstr("is given beside ids"));
  EXPECT_THAT(Refused("explain", {{"text", kText}, {"positions", {99}}}),
              HasSubstr("positions: no such token: found 99"));
  EXPECT_THAT(Refused("explain", {{"text", kText}, {"positions", "first"}}),
              HasSubstr("wanted \"last\", \"all\", or numbers"));
  EXPECT_THAT(Refused("explain", {{"text", kText}, {"sampling_params", {{"temperatur", 1}}}}),
              HasSubstr("Did you mean \"temperature\"?"));
  EXPECT_THAT(Refused("score", {{"explanations", "a"}, {"activations", Nested(RandomVectors(2, 1))}}),
              HasSubstr("another number than the activations"));
  EXPECT_THAT(Refused("reconstruct", {{"explanations", json::array()}}), HasSubstr("explanations: is empty"));
}

TEST_F(NlaRoutesTest, WhatIsNotThereIsSaidToBeMissing) {
  ModelChoice choice;
  choice.model = *tiny_ / "base";
  TestService bare(choice);
  EXPECT_THAT(bare.Refused("/v1/nla/verbalize", {{"activations", {1}}}, 404), HasSubstr("--pair or --av"));
  EXPECT_THAT(bare.Refused("/v1/nla/extract", {{"text", "a"}}, 404), HasSubstr("--pair"));
  EXPECT_THAT(bare.Refused("/v1/nla/reconstruct", {{"explanations", "a"}}, 404), HasSubstr("--pair"));
  ModelChoice alone;
  alone.actor = tiny_->Source("av_known");
  TestService actor(alone);
  const std::vector<float> vectors = RandomVectors(2, 5);
  ExpectKnown(actor.Post("/v1/nla/verbalize", {{"activations", Nested(vectors)}})["rows"], vectors);
  EXPECT_THAT(actor.Refused("/v1/nla/explain", {{"text", "a"}}, 404), HasSubstr("--base"));
}

}  // namespace
}  // namespace nla::serve
