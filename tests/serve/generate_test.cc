// POST /generate: what goes in, what comes out, what is refused.
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/base64.h"
#include "serve/float_bytes.h"
#include "serve/service_testing.h"
#include "weights/float_bits.h"

namespace nla::serve {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

constexpr const char* kText = "the ship 12";

class GenerateTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    tiny_ = std::make_unique<TinyPair>();
    ModelChoice choice;
    choice.model = *tiny_ / "base";
    service_ = std::make_unique<TestService>(choice);
  }
  static void TearDownTestSuite() {
    service_.reset();
    tiny_.reset();
  }

  static json Generate(json body) {
    if (!body.contains("sampling_params")) body["sampling_params"] = {{"temperature", 0}, {"max_new_tokens", 6}};
    return service_->Post("/generate", body);
  }
  static std::string Refused(json body) { return service_->Refused("/generate", body); }
  static std::vector<TokenId> Ids() { return service_->models().main().tokenizer->Encode(kText); }
  // The rows behind those ids.
  static std::vector<float> Rows() {
    const at::Tensor rows_TD = service_->models().main().Embed(Ids()).contiguous();
    return {rows_TD.const_data_ptr<float>(), rows_TD.const_data_ptr<float>() + rows_TD.numel()};
  }
  static json Nested(const std::vector<float>& values, size_t width = kTinyWidth) {
    json rows = json::array();
    for (size_t at = 0; at < values.size(); at += width) {
      rows.push_back(std::vector<float>(values.begin() + at, values.begin() + at + width));
    }
    return rows;
  }

  static std::unique_ptr<TinyPair> tiny_;
  static std::unique_ptr<TestService> service_;
};
std::unique_ptr<TinyPair> GenerateTest::tiny_;
std::unique_ptr<TestService> GenerateTest::service_;

TEST_F(GenerateTest, AnswersInTheShapeOfSglang) {
  const json answer = Generate({{"text", kText}, {"rid", "mine"}, {"return_logprob", true}});
  EXPECT_EQ(answer.size(), 3U);
  const json& meta = answer["meta_info"];
  const size_t count = answer["output_ids"].size();
  EXPECT_GT(count, 0U);
  EXPECT_EQ(meta["id"], "mine");
  EXPECT_EQ(meta["prompt_tokens"], Ids().size());
  EXPECT_EQ(meta["completion_tokens"], count);
  EXPECT_EQ(meta["weight_version"], "default");
  EXPECT_TRUE(meta["cached_tokens"].is_number_integer());
  EXPECT_TRUE(meta["e2e_latency"].is_number_float());
  EXPECT_EQ(meta["output_token_logprobs_length"], count);
  ASSERT_EQ(meta["output_token_logprobs"].size(), count);
  for (size_t i = 0; i < count; ++i) {
    const json& tuple = meta["output_token_logprobs"][i];
    ASSERT_EQ(tuple.size(), 3U);
    EXPECT_LE(tuple[0].get<double>(), 0);
    EXPECT_EQ(tuple[1], answer["output_ids"][i]);
    EXPECT_TRUE(tuple[2].is_null());
  }
  const json& reason = meta["finish_reason"];
  EXPECT_TRUE(reason == json({{"type", "length"}, {"length", 6}}) || reason["type"] == "stop") << reason;
  EXPECT_FALSE(Generate({{"text", kText}})["meta_info"].contains("output_token_logprobs"));
}

TEST_F(GenerateTest, AllTransportsOfAPromptAreThatPrompt) {
  const json wanted = Generate({{"text", kText}});
  const std::vector<float> rows = Rows();
  const json shape{Ids().size(), kTinyWidth};
  const auto same = [&](const json& body) {
    EXPECT_EQ(Generate(body)["output_ids"], wanted["output_ids"]) << body.begin().key();
  };
  same({{"input_ids", Ids()}});
  same({{"input_embeds", Nested(rows)}});
  same({{"input_embeds_bytes", EncodeBase64(Fp32Bytes(rows))}, {"input_embeds_shape", shape}});
  std::string half;
  for (const float value : rows) {
    const uint16_t bits = Bf16FromFloat(value);
    half += {static_cast<char>(bits), static_cast<char>(bits >> 8)};
  }
  const json rounded = Generate({{"input_embeds_b64_bf16", EncodeBase64(half)}, {"input_embeds_shape", shape}});
  EXPECT_EQ(rounded["meta_info"]["prompt_tokens"], Ids().size());
}

TEST_F(GenerateTest, NestingDecidesWhatIsABatch) {
  const json one = Generate({{"text", kText}});
  EXPECT_TRUE(one.is_object());
  const json many = Generate({{"text", {kText, "a", kText}}, {"rid", {"x", "y", "z"}}});
  ASSERT_EQ(many.size(), 3U);
  EXPECT_EQ(many[0]["output_ids"], one["output_ids"]);
  EXPECT_EQ(many[2]["output_ids"], one["output_ids"]);
  EXPECT_EQ(many[1]["meta_info"]["id"], "y");
  EXPECT_EQ(Generate({{"text", json::array({kText})}}).size(), 1U);
  EXPECT_EQ(Generate({{"input_ids", {Ids(), {1, 2}}}})[0]["output_ids"], one["output_ids"]);
  const json embeds = Generate({{"input_embeds", {Nested(Rows()), Nested(std::vector<float>(kTinyWidth, 0.5F))}}});
  EXPECT_EQ(embeds[0]["output_ids"], one["output_ids"]);
  EXPECT_EQ(embeds[1]["meta_info"]["prompt_tokens"], 1);
  const json each =
      Generate({{"text", {kText, kText}},
                {"sampling_params",
                 {{{"temperature", 0}, {"max_new_tokens", 1}}, {{"temperature", 0}, {"max_new_tokens", 3}}}}});
  EXPECT_EQ(each[0]["output_ids"].size(), 1U);
  EXPECT_EQ(each[1]["output_ids"][0], each[0]["output_ids"][0]);
}

TEST_F(GenerateTest, SamplesOfAPromptAreConsecutiveAndSeedsRepeatThem) {
  const json body{{"text", {kText, "a"}},
                  {"rid", "r"},
                  {"sampling_params", {{"n", 3}, {"max_new_tokens", 8}, {"sampling_seed", 5}, {"ignore_eos", true}}}};
  const json first = service_->Post("/generate", body);
  ASSERT_EQ(first.size(), 6U);
  EXPECT_EQ(first[0]["meta_info"]["id"], "r_0_0");
  EXPECT_EQ(first[2]["meta_info"]["prompt_tokens"], Ids().size());
  EXPECT_EQ(first[4]["meta_info"]["id"], "r_1_1");
  std::set<std::string> texts;
  for (int i = 0; i < 3; ++i) texts.insert(first[i]["output_ids"].dump());
  EXPECT_GT(texts.size(), 1U);
  const json second = service_->Post("/generate", body);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(first[i]["output_ids"], second[i]["output_ids"]) << i;
  const json alone = Generate(
      {{"text", kText}, {"sampling_params", {{"max_new_tokens", 8}, {"sampling_seed", 5}, {"ignore_eos", true}}}});
  EXPECT_EQ(alone["output_ids"], first[0]["output_ids"]);
}

TEST_F(GenerateTest, StopsWhereItIsTold) {
  const json whole = Generate(
      {{"text", kText}, {"sampling_params", {{"temperature", 0}, {"max_new_tokens", 8}, {"ignore_eos", true}}}});
  EXPECT_EQ(whole["meta_info"]["finish_reason"], json({{"type", "length"}, {"length", 8}}));
  const int64_t third = whole["output_ids"][2];
  const json cut =
      Generate({{"text", kText},
                {"sampling_params",
                 {{"temperature", 0}, {"max_new_tokens", 8}, {"ignore_eos", true}, {"stop_token_ids", {third}}}}});
  EXPECT_EQ(cut["meta_info"]["finish_reason"], json({{"type", "stop"}, {"matched", third}}));
  EXPECT_EQ(cut["output_ids"].back(), third);
  const json top = Generate({{"text", kText},
                             {"return_logprob", true},
                             {"top_logprobs_num", 2},
                             {"return_text_in_logprobs", true},
                             {"sampling_params", {{"temperature", 0}, {"max_new_tokens", 2}}}});
  const json& tops = top["meta_info"]["output_top_logprobs"];
  ASSERT_EQ(tops.size(), top["output_ids"].size());
  EXPECT_EQ(tops[0].size(), 2U);
  EXPECT_EQ(tops[0][0][1], top["output_ids"][0]);
  EXPECT_TRUE(tops[0][0][2].is_string());
}

TEST_F(GenerateTest, TellsLogprobsOfPrompts) {
  const json body{{"input_ids", Ids()}, {"return_logprob", true}, {"logprob_start_len", 0}};
  const json meta = Generate(body)["meta_info"];
  const json& tuples = meta["input_token_logprobs"];
  ASSERT_EQ(tuples.size(), Ids().size());
  EXPECT_EQ(tuples[0], json({nullptr, Ids()[0], nullptr}));
  for (size_t i = 1; i < tuples.size(); ++i) {
    EXPECT_LE(tuples[i][0].get<double>(), 0);
    EXPECT_EQ(tuples[i][1], Ids()[i]);
  }
  EXPECT_FALSE(meta.contains("input_top_logprobs"));
  json later = body;
  later["logprob_start_len"] = 2;
  later["top_logprobs_num"] = 1;
  later["return_text_in_logprobs"] = true;
  const json second = Generate(later)["meta_info"];
  ASSERT_EQ(second["input_token_logprobs"].size(), Ids().size() - 2);
  EXPECT_TRUE(second["input_token_logprobs"][0][0].is_null());
  EXPECT_TRUE(second["input_token_logprobs"][0][2].is_string());
  EXPECT_NEAR(second["input_token_logprobs"][1][0].get<double>(), tuples[3][0].get<double>(), 1e-5);
  EXPECT_TRUE(second["input_top_logprobs"][0].is_null());
  EXPECT_EQ(second["input_top_logprobs"][1].size(), 1U);
  // As SGLang has it: nothing without return_logprob.
  EXPECT_FALSE(Generate({{"text", kText}, {"logprob_start_len", 0}})["meta_info"].contains("input_token_logprobs"));
}

TEST_F(GenerateTest, StopsWhereAPatternMatches) {
  const json free{{"temperature", 0}, {"max_new_tokens", 8}, {"ignore_eos", true}};
  const std::string whole = Generate({{"text", kText}, {"sampling_params", free}})["text"];
  ASSERT_GT(whole.size(), 4U);
  // Whatever the third character is, after the first two.
  json sampling = free;
  sampling["stop_regex"] = {"never [0-9]{9}", R"((?s)(?<=^..).)"};
  const json cut = Generate({{"text", kText}, {"sampling_params", sampling}});
  const std::string beginning = cut["text"];
  EXPECT_TRUE(whole.starts_with(beginning)) << beginning;
  EXPECT_LT(beginning.size(), whole.size());
  const json reason{{"type", "stop"}, {"matched", sampling["stop_regex"][1]}};
  EXPECT_EQ(cut["meta_info"]["finish_reason"], reason);
  const std::vector<json> events = service_->Stream("/generate", {{"text", kText}, {"sampling_params", sampling}});
  ASSERT_FALSE(events.empty());
  for (const json& event : events) EXPECT_TRUE(beginning.starts_with(event["text"].get<std::string>()));
  EXPECT_EQ(events.back()["text"], beginning);
  EXPECT_EQ(events.back()["meta_info"]["finish_reason"], reason);
  sampling["no_stop_trim"] = true;
  const std::string kept = Generate({{"text", kText}, {"sampling_params", sampling}})["text"];
  EXPECT_TRUE(kept.starts_with(beginning));
  EXPECT_GT(kept.size(), beginning.size());
  sampling["stop_regex"] = "never [0-9]{9}";
  EXPECT_EQ(Generate({{"text", kText}, {"sampling_params", sampling}})["text"], whole);
}

TEST_F(GenerateTest, StreamsGrowToTheWholeAnswer) {
  const json sampling{{"temperature", 0}, {"max_new_tokens", 6}, {"ignore_eos", true}};
  const json whole = Generate({{"text", kText}, {"sampling_params", sampling}});
  const std::vector<json> events = service_->Stream("/generate", {{"text", kText}, {"sampling_params", sampling}});
  ASSERT_FALSE(events.empty());
  std::string before;
  for (const json& event : events) {
    EXPECT_FALSE(event.contains("index"));
    EXPECT_TRUE(event["text"].get<std::string>().starts_with(before));
    before = event["text"];
  }
  EXPECT_EQ(events.back()["text"], whole["text"]);
  EXPECT_EQ(events.back()["output_ids"], whole["output_ids"]);
  EXPECT_EQ(events.back()["meta_info"]["finish_reason"]["type"], "length");
  if (events.size() > 1) {
    EXPECT_TRUE(events.front()["meta_info"]["finish_reason"].is_null());
  }

  std::map<int, json> last;
  for (const json& event : service_->Stream("/generate", {{"text", {kText, "a"}}, {"sampling_params", sampling}})) {
    last[event.at("index")] = event;
  }
  ASSERT_EQ(last.size(), 2U);
  EXPECT_EQ(last[0]["output_ids"], whole["output_ids"]);
}

TEST_F(GenerateTest, RefusesWhatItCannotDo) {
  const auto sampling = [&](const json& params) { return Refused({{"text", "a"}, {"sampling_params", params}}); };
  EXPECT_THAT(Refused(json::object()), HasSubstr("there is no prompt"));
  EXPECT_THAT(Refused({{"text", "a"}, {"input_embeds", {{1.0}}}}),
              HasSubstr("more than one prompt: found text and input_embeds"));
  EXPECT_THAT(Refused({{"text", ""}}), HasSubstr("text: is empty"));
  EXPECT_THAT(Refused({{"text", json::array()}}), HasSubstr("the list of prompts is empty"));
  EXPECT_THAT(Refused({{"input_ids", json::array()}}), HasSubstr("input_ids: is empty"));
  EXPECT_THAT(Refused({{"input_ids", {1 << 30}}}), HasSubstr("does not know"));
  EXPECT_THAT(Refused({{"input_ids", {-1}}}), HasSubstr("does not know"));
  EXPECT_THAT(Refused({{"input_ids", {1, "a"}}}), HasSubstr("wanted a list of whole numbers"));
  EXPECT_THAT(Refused({{"input_ids", std::vector<int>(100000, 1)}}), HasSubstr("too long"));
  EXPECT_THAT(Refused({{"input_embeds", {{1, 2}, {3, 4}}}}),
              HasSubstr("rows of another width than the model's: found 2, wanted 64"));
  EXPECT_THAT(Refused({{"input_embeds", {1, 2}}}), HasSubstr("nested wrongly"));
  EXPECT_THAT(Refused({{"input_embeds", json::array()}}), HasSubstr("nested wrongly"));
  EXPECT_THAT(Refused({{"input_embeds_bytes", "AAAA"}}), HasSubstr("input_embeds_shape: is missing"));
  EXPECT_THAT(Refused({{"input_embeds_bytes", "AAAAAA=="}, {"input_embeds_shape", {1, kTinyWidth}}}),
              HasSubstr("another number of values"));
  EXPECT_THAT(Refused({{"input_embeds_bytes", "AAAAAA=="}, {"input_embeds_shape", {1 << 30, 1 << 30, kTinyWidth}}}),
              HasSubstr("another number of values"));
  std::string nan(kTinyWidth * 4, '\xff');
  EXPECT_THAT(Refused({{"input_embeds_bytes", EncodeBase64(nan)}, {"input_embeds_shape", {1, kTinyWidth}}}),
              HasSubstr("finite"));
  EXPECT_THAT(Refused({{"text", "a"}, {"input_embeds_shape", {1, 2}}}), HasSubstr("belongs to a binary transport"));
  EXPECT_THAT(Refused({{"text", "a"}, {"txet", 1}}), HasSubstr("unknown field \"txet\". Did you mean \"text\"?"));
  EXPECT_THAT(sampling({{"temprature", 1}}),
              HasSubstr("sampling_params: unknown field \"temprature\". Did you mean \"temperature\"?"));
  EXPECT_THAT(sampling({{"temperature", -1}}), HasSubstr("sampling_params.temperature: is out of range"));
  EXPECT_THAT(sampling({{"top_k", 0}}), HasSubstr("wanted -1 (all) or at least 1"));
  EXPECT_THAT(sampling({{"min_new_tokens", 9}, {"max_new_tokens", 8}}), HasSubstr("at most max_new_tokens = 8"));
  EXPECT_THAT(sampling({{"stop_regex", {"fine", "a(b"}}}),
              AllOf(HasSubstr("sampling_params.stop_regex: is not a pattern: missing closing parenthesis"),
                    HasSubstr("found a(b")));
  EXPECT_THAT(sampling({{"stop_regex", ""}}), HasSubstr("empty pattern"));
  EXPECT_THAT(sampling({{"stop_regex", std::string(600, 'a')}}), HasSubstr("too long a pattern: found 600 bytes"));
  EXPECT_THAT(sampling({{"stop_regex", std::vector<std::string>(17, "a")}}), HasSubstr("at most 16"));
  EXPECT_THAT(sampling({{"n", 100000}}), HasSubstr("n: is out of range"));
  EXPECT_THAT(sampling(json::array({json::object(), json::object()})), HasSubstr("another number of entries"));
  EXPECT_THAT(Refused({{"text", {"a", "b"}}, {"sampling_params", {{{"n", 1}}, {{"n", 2}}}}}),
              HasSubstr("differs from prompt to prompt"));
  EXPECT_THAT(Refused({{"text", "a"}, {"return_hidden_states", true}}),
              HasSubstr("return_hidden_states: is not supported"));
  EXPECT_THAT(Refused({{"text", "a"}, {"return_logprob", true}, {"logprob_start_len", 100}}),
              HasSubstr("is behind the end of a prompt"));
  EXPECT_THAT(Refused({{"input_embeds", Nested(Rows())}, {"return_logprob", true}, {"logprob_start_len", 0}}),
              HasSubstr("rows of embeddings are no tokens"));
  EXPECT_THAT(Refused({{"text", std::vector<std::string>(2000, "a")}}), HasSubstr("too many replies"));
  EXPECT_EQ(
      service_
          ->Ask(
              "POST", "/generate",
              R"({"text":"a","return_hidden_states":false,"lora_path":null,"sampling_params":{"max_new_tokens":1,"stop_regex":null}})")
          .status,
      200);
}

TEST_F(GenerateTest, MalformedBodiesHaveTheirOwnShape) {
  for (const char* body : {"", "[", "{\"text\":", "[1]", "{\"text\":\"a\"}}"}) {
    const Answer answer = service_->Ask("POST", "/generate", body);
    EXPECT_EQ(answer.status, 400);
    EXPECT_EQ(answer.json()["object"], "error") << body;
    EXPECT_EQ(answer.json()["type"], "Bad Request");
    EXPECT_EQ(answer.json()["code"], 400);
    EXPECT_TRUE(answer.json()["param"].is_null());
  }
  EXPECT_THAT(service_->Ask("POST", "/generate", R"({"input_embeds":[[NaN]]})").body, HasSubstr("finite number"));
}

TEST_F(GenerateTest, EveryRangeOfTheDocumentIsTheParsers) {
  const json document = service_->Ask("GET", "/openapi.json").json();
  const json& schema = document["paths"]["/generate"]["post"]["requestBody"]["content"]["application/json"]["schema"];
  const json& parameters = schema["properties"]["sampling_params"]["anyOf"][0]["properties"];
  ASSERT_GT(parameters.size(), 15U);
  int checked = 0;
  for (const auto& [name, property] : parameters.items()) {
    for (const auto& [bound, step] : {std::pair("minimum", -1.0), {"maximum", 1.0}, {"exclusiveMinimum", 0.0}}) {
      if (!property.contains(bound)) continue;
      json value = property[bound];
      if (value.is_number_integer()) {
        value = value.get<int64_t>() + static_cast<int64_t>(step);
      } else {
        value = value.get<double>() + step;
      }
      EXPECT_THAT(Refused({{"text", "a"}, {"sampling_params", {{name, value}}}}), HasSubstr("sampling_params." + name))
          << value;
      ++checked;
    }
    if (property.contains("deprecated")) {
      EXPECT_THAT(Refused({{"text", "a"}, {"sampling_params", {{name, "x"}}}}), HasSubstr("is not supported"));
    }
  }
  EXPECT_GT(checked, 15);
}

TEST_F(GenerateTest, AClientThatGoesAbortsItsReplies) {
  TestLink link;
  link.gone = true;
  HttpRequest request;
  request.method = "POST";
  request.path = "/generate";
  request.body = R"({"text":"a","sampling_params":{"max_new_tokens":1000000,"ignore_eos":true}})";
  try {
    service_->Ask(request, link);
  } catch (const std::exception&) {
  }
  // Aborted, or ended by the context's end.
  while (service_->models().main().engine->counts().running > 0) std::this_thread::yield();
}

}  // namespace
}  // namespace nla::serve
