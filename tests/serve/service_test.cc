// Routes, operators' requests, OpenAI's, and the documents that describe them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <thread>

#include "base/file.h"
#include "nla/role_checkpoint.h"
#include "serve/service_testing.h"

namespace nla::serve {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class ServiceTest : public testing::Test {
 protected:
  ServiceTest() {
    ModelChoice choice;
    choice.pair = tiny_.Assemble("pair", "av_known", "ar");
    service_ = std::make_unique<TestService>(choice);
  }
  json Get(const std::string& path) {
    const Answer answer = service_->Ask("GET", path);
    EXPECT_EQ(answer.status, 200) << path;
    return answer.json();
  }
  std::string Explained() {
    return service_->Post("/v1/nla/verbalize", {{"activations", RandomVectors(1, 3)}})["rows"][0]["raw"];
  }
  TinyPair tiny_;
  std::unique_ptr<TestService> service_;
};

TEST_F(ServiceTest, TellsOfItsModels) {
  EXPECT_EQ(service_->Ask("GET", "/health").status, 200);
  EXPECT_EQ(service_->Ask("GET", "/health").body, "");
  EXPECT_EQ(service_->Ask("GET", "/health_generate").status, 200);
  for (const char* path : {"/model_info", "/get_model_info"}) {
    const json info = Get(path);
    EXPECT_THAT(info["model_path"], HasSubstr("pair/av"));
    EXPECT_EQ(info["is_generation"], true);
    EXPECT_EQ(info["weight_version"], "default");
    EXPECT_EQ(info["model_type"], "llama");
  }
  for (const char* path : {"/server_info", "/get_server_info"}) {
    const json info = Get(path);
    EXPECT_EQ(info["host"], "test");
    EXPECT_EQ(info["d_model"], kTinyWidth);
    EXPECT_EQ(info["input_embeds_formats"].size(), 3U);
    EXPECT_EQ(info["engines"].size(), 2U);
  }
  const json models = Get("/v1/models");
  EXPECT_EQ(models["object"], "list");
  ASSERT_EQ(models["data"].size(), 2U);
  EXPECT_EQ(models["data"][0]["id"], "pair/av");
  EXPECT_EQ(models["data"][1]["id"], "tiny");
  EXPECT_TRUE(models["data"][1]["max_model_len"].is_number_integer());
}

TEST_F(ServiceTest, UnknownAddressesAndMethodsAreSaidSo) {
  EXPECT_EQ(service_->Ask("GET", "/nothing").status, 404);
  Answer answer = service_->Ask("GET", "/generate");
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(answer.headers["Allow"], "POST, PUT");
  EXPECT_EQ(service_->Ask("POST", "/health").status, 405);
}

TEST_F(ServiceTest, StartingAndStoppingAnswer503) {
  Service closed({});
  TestLink link;
  RequestState state;
  HttpRequest health;
  health.method = "GET";
  health.path = "/health";
  EXPECT_EQ(closed.Admit(health, state, link)->status, 503);
  service_->service().Close();
  EXPECT_EQ(service_->Ask("GET", "/health").status, 503);
  EXPECT_EQ(service_->Ask("POST", "/generate", "{}").status, 503);
}

TEST_F(ServiceTest, TheKeyOpensAllButHealth) {
  ModelChoice choice;
  choice.actor = tiny_.Source("av_known");
  TestService guarded(choice, {.admission = {.api_key = "k"}});
  EXPECT_EQ(guarded.Ask("GET", "/health").status, 200);
  EXPECT_EQ(guarded.Ask("GET", "/openapi.json").status, 200);
  for (const char* path : {"/v1/models", "/metrics", "/server_info", "/nothing"})
    EXPECT_EQ(guarded.Ask("GET", path).status, 401) << path;
  HttpRequest request;
  request.method = "GET";
  request.path = "/v1/models";
  request.headers["Authorization"] = "Bearer k";
  TestLink link;
  EXPECT_EQ(guarded.Ask(request, link).status, 200);
}

TEST_F(ServiceTest, MetricsCountWhatHappened) {
  Explained();
  // The engine's counts are those of its last whole step.
  while (service_->models().main().engine->counts().finished == 0) std::this_thread::yield();
  service_->Ask("GET", "/nothing");
  const std::string text = service_->Ask("GET", "/metrics").body;
  EXPECT_THAT(text, HasSubstr("nla_http_requests_total{route=\"/v1/nla/verbalize\",status=\"200\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("nla_http_requests_total{route=\"other\",status=\"404\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("nla_time_to_first_token_seconds_count 1\n"));
  EXPECT_THAT(text, HasSubstr("nla_reply_tokens_bucket{le=\"+Inf\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("nla_reply_tokens_total{engine=\"verbalizer\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE nla_http_request_seconds histogram\n"));
}

TEST_F(ServiceTest, PausedRequestsWaitAndGoOn) {
  EXPECT_EQ(service_->Post("/pause_generation", {{"mode", "in_place"}})["status"], "ok");
  EXPECT_EQ(Get("/server_info")["status"], "paused");
  std::thread asks([&] { EXPECT_THAT(Explained(), HasSubstr("<explanation>")); });
  while (service_->models().main().engine->counts().waiting + service_->models().main().engine->counts().running == 0) {
    std::this_thread::yield();
    if (service_->Ask("GET", "/health_generate").status != 503) ADD_FAILURE() << "generated in a pause";
  }
  EXPECT_EQ(service_->Post("/continue_generation", json::object())["status"], "ok");
  asks.join();
  EXPECT_THAT(service_->Refused("/pause_generation", {{"mode", "now"}}), HasSubstr("wanted abort, retract, in_place"));
}

TEST_F(ServiceTest, RequestsAreAbortedByTheirWholeName) {
  service_->Post("/pause_generation", {{"mode", "in_place"}});
  std::thread asks([&] {
    const json answer = service_->Post("/generate", {{"text", "a"}, {"rid", "mine"}});
    EXPECT_EQ(answer["meta_info"]["finish_reason"]["type"], "abort");
    EXPECT_THAT(answer["meta_info"]["finish_reason"]["message"], HasSubstr("/abort_request"));
  });
  while (service_->models().main().engine->counts().waiting == 0) std::this_thread::yield();
  EXPECT_THAT(service_->Refused("/generate", {{"text", "a"}, {"rid", "mine"}}),
              HasSubstr("rid: is the name of a request"));
  EXPECT_EQ(service_->Post("/abort_request", {{"rid", "min"}})["success"], false);
  EXPECT_EQ(service_->Post("/abort_request", {{"rid", "mine"}})["success"], true);
  asks.join();
  EXPECT_EQ(service_->Post("/abort_request", {{"abort_all", true}})["success"], true);
  EXPECT_THAT(service_->Refused("/abort_request", json::object()), HasSubstr("rid: is missing"));
  service_->Post("/continue_generation", json::object());
}

TEST_F(ServiceTest, NewWeightsComeWholeOrNotAtAll) {
  const std::string before = Explained();
  const auto refused = [&](const fs::path& directory) {
    const Answer answer = service_->Ask("POST", "/update_weights_from_disk",
                                        json{{"model_path", directory.string()}, {"weight_version", "bad"}}.dump());
    EXPECT_EQ(answer.status, 400);
    EXPECT_EQ(answer.json()["success"], false);
    EXPECT_EQ(Explained(), before);
    EXPECT_EQ(Get("/model_info")["weight_version"], "default");
    return answer.json()["message"].get<std::string>();
  };
  EXPECT_THAT(refused(tiny_ / "nothing"), HasSubstr("is not a directory"));
  EXPECT_THAT(refused(tiny_ / "ar_whole"), HasSubstr("another model: num_hidden_layers"));
  EXPECT_THAT(refused(tiny_ / "av"), HasSubstr("holds adapters"));
  fs::copy(tiny_ / "av_known", tiny_ / "other", fs::copy_options::recursive);
  EditSidecar(tiny_ / "other", [](ModelSidecar& sidecar) { sidecar.actor_template += " more"; });
  EXPECT_THAT(refused(tiny_ / "other"), HasSubstr("prompt_templates.actor"));

  fs::copy(tiny_ / "av_whole", tiny_ / "next", fs::copy_options::recursive);
  // The known verbalizer has a head of its own.
  EXPECT_THAT(refused(tiny_ / "next"), HasSubstr("tie_word_embeddings"));

  const json answer = service_->Post("/update_weights_from_disk",
                                     {{"model_path", (tiny_ / "av_known").string()}, {"weight_version", "step-7"}});
  EXPECT_EQ(answer["success"], true);
  EXPECT_EQ(answer["num_paused_requests"], 0);
  EXPECT_EQ(Get("/model_info")["weight_version"], "step-7");
  EXPECT_EQ(Get("/model_info")["model_path"], (tiny_ / "av_known").string());
  EXPECT_EQ(Explained(), before);
  EXPECT_EQ(service_->Post("/generate", {{"text", "a"},
                                         {"sampling_params", {{"max_new_tokens", 1}}}})["meta_info"]["weight_version"],
            "step-7");
  EXPECT_EQ(service_->Ask("POST", "/flush_cache").status, 200);
}

TEST_F(ServiceTest, NewAdaptersChangeTheVerbalizerAndNotTheBase) {
  ModelChoice choice;
  choice.pair = tiny_.Assemble("adapted", "av", "ar");
  // The same adapters with every second number's sign turned.
  fs::copy(tiny_ / "av", tiny_ / "turned", fs::copy_options::recursive);
  std::string bytes = ReadFile(tiny_ / "turned/adapter_model.safetensors");
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  for (size_t i = 8 + header + 3; i < bytes.size(); i += 8) bytes[i] = static_cast<char>(bytes[i] ^ '\x80');
  WriteFileAtomically(tiny_ / "turned/adapter_model.safetensors", bytes);
  const json to_turned{{"model_path", (tiny_ / "turned").string()}};
  const json back{{"model_path", (tiny_ / "av").string()}};
  EXPECT_THAT(TestService(choice).Ask("POST", "/update_weights_from_disk", to_turned.dump()).body,
              HasSubstr("not those that were written with nla_meta.yaml"));
  EditSidecar(tiny_ / "turned",
              [&](ModelSidecar& sidecar) { sidecar.weights_hash = TrainedWeightsHash(tiny_ / "turned"); });

  const json ask{{"activations", RandomVectors(1, 3)},
                 {"sampling_params", {{"max_new_tokens", 20}, {"ignore_eos", true}}}};
  const json complete{{"prompt", "the ship"}, {"temperature", 0}, {"max_tokens", 8}};
  // Packed weights are copies, which must follow.
  for (const auto packing : {std::optional<packed::Format>(), std::optional(packed::Format::kInt8)}) {
    choice.packing = packing;
    TestService adapted(choice);
    const json answer = adapted.Post("/v1/nla/verbalize", ask);
    EXPECT_EQ(answer["provenance"]["av"]["quant"], packing ? "q8" : "none");
    const json before = answer["rows"][0]["raw"];
    const json base = adapted.Post("/v1/completions", complete)["choices"][0]["text"];
    EXPECT_EQ(adapted.Post("/update_weights_from_disk", to_turned)["success"], true);
    EXPECT_NE(adapted.Post("/v1/nla/verbalize", ask)["rows"][0]["raw"], before);
    EXPECT_EQ(adapted.Post("/v1/completions", complete)["choices"][0]["text"], base);
    EXPECT_EQ(adapted.Post("/update_weights_from_disk", back)["success"], true);
    EXPECT_EQ(adapted.Post("/v1/nla/verbalize", ask)["rows"][0]["raw"], before);
  }

  // A verbalizer alone keeps nothing but packed weights: others take their place whole.
  TestService alone({.actor = tiny_.Source("av"), .packing = packed::Format::kInt8});
  EXPECT_FALSE(alone.models().main().decoder->plain());
  const json before = alone.Post("/v1/nla/verbalize", ask)["rows"][0]["raw"];
  const json whole{{"model_path", (tiny_ / "av_whole").string()}};
  EXPECT_THAT(alone.Ask("POST", "/update_weights_from_disk", whole.dump()).body, HasSubstr("holds no adapters"));
  EXPECT_EQ(alone.Post("/v1/nla/verbalize", ask)["rows"][0]["raw"], before);
  EXPECT_EQ(alone.Post("/update_weights_from_disk", to_turned)["success"], true);
  EXPECT_NE(alone.Post("/v1/nla/verbalize", ask)["rows"][0]["raw"], before);
  EXPECT_EQ(alone.Post("/update_weights_from_disk", back)["success"], true);
  EXPECT_EQ(alone.Post("/v1/nla/verbalize", ask)["rows"][0]["raw"], before);
}

TEST_F(ServiceTest, CompletionsAsOpenAiHasThem) {
  const json body{{"prompt", "the ship"}, {"temperature", 0}, {"max_tokens", 6}, {"logprobs", 1}, {"ignore_eos", true}};
  const json answer = service_->Post("/v1/completions", body);
  EXPECT_EQ(answer["object"], "text_completion");
  EXPECT_EQ(answer["model"], "tiny");
  const json& choice = answer["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "length");
  EXPECT_EQ(choice["logprobs"]["tokens"].size(), 6U);
  EXPECT_EQ(choice["logprobs"]["top_logprobs"].size(), 6U);
  EXPECT_EQ(answer["usage"]["completion_tokens"], 6);
  json streamed = body;
  streamed["stream_options"] = {{"include_usage", true}};
  std::string text;
  const std::vector<json> events = service_->Stream("/v1/completions", streamed);
  for (const json& event : events) {
    if (!event["choices"].empty()) text += event["choices"][0]["text"].get<std::string>();
  }
  EXPECT_EQ(text, choice["text"]);
  EXPECT_EQ(events.back()["usage"], answer["usage"]);
  EXPECT_EQ(service_->Post("/v1/completions", {{"prompt", {"a", "b"}}, {"n", 2}, {"max_tokens", 1}})["choices"].size(),
            4U);
  EXPECT_EQ(service_->Post("/v1/completions", {{"model", "pair/av"}, {"prompt", {1, 2}}, {"max_tokens", 1}})["model"],
            "pair/av");
}

TEST_F(ServiceTest, ChatsAsOpenAiDoes) {
  const json body{{"messages", {{{"role", "user"}, {"content", "the ship"}}}},
                  {"temperature", 0},
                  {"max_completion_tokens", 6},
                  {"logprobs", true},
                  {"top_logprobs", 2}};
  const json answer = service_->Post("/v1/chat/completions", body);
  EXPECT_EQ(answer["object"], "chat.completion");
  const json& choice = answer["choices"][0];
  EXPECT_EQ(choice["message"]["role"], "assistant");
  EXPECT_EQ(choice["logprobs"]["content"].size(), answer["usage"]["completion_tokens"]);
  EXPECT_EQ(choice["logprobs"]["content"][0]["top_logprobs"].size(), 2U);
  std::string text;
  const std::vector<json> events = service_->Stream("/v1/chat/completions", body);
  EXPECT_EQ(events[0]["choices"][0]["delta"]["role"], "assistant");
  for (const json& event : events) {
    EXPECT_EQ(event["object"], "chat.completion.chunk");
    text += event["choices"][0]["delta"]["content"].get<std::string>();
  }
  EXPECT_EQ(text, choice["message"]["content"]);
  EXPECT_EQ(events.back()["choices"][0]["finish_reason"], choice["finish_reason"]);
  const json parts{{"messages", {{{"role", "user"}, {"content", {{{"type", "text"}, {"text", "the ship"}}}}}}},
                   {"temperature", 0},
                   {"max_tokens", 6}};
  EXPECT_EQ(service_->Post("/v1/chat/completions", parts)["choices"][0]["message"], choice["message"]);
}

TEST_F(ServiceTest, OpenAiErrorsHaveTheirShape) {
  const Answer answer = service_->Ask("POST", "/v1/chat/completions", R"({"messages":[],"model":"gpt"})");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.json()["error"]["type"], "not_found_error");
  EXPECT_THAT(answer.json()["error"]["message"], HasSubstr("wanted one of pair/av, tiny"));
  EXPECT_EQ(service_->Ask("POST", "/v1/completions", "{").json()["error"]["type"], "invalid_request_error");
  const auto refused = [&](const json& body) { return service_->Refused("/v1/chat/completions", body); };
  EXPECT_THAT(refused(json::object()), HasSubstr("messages: is missing"));
  EXPECT_THAT(refused({{"messages", json::array()}}), HasSubstr("messages: is empty"));
  EXPECT_THAT(refused({{"messages", {{{"content", "x"}}}}}), HasSubstr("messages[0].role: is missing"));
  EXPECT_THAT(refused({{"messages", {{{"role", "user"}, {"content", {{{"type", "image_url"}}}}}}}}),
              HasSubstr("messages[0].content: is not text"));
  EXPECT_THAT(refused({{"messages", {{{"role", "user"}, {"content", "x"}}}}, {"tools", {json::object()}}}),
              HasSubstr("tools: is not supported"));
}

TEST_F(ServiceTest, TheDocumentDescribesEveryRoute) {
  const json document = Get("/openapi.json");
  EXPECT_EQ(document["openapi"], "3.1.0");
  int bodies = 0;
  for (const auto& [path, methods] : document["paths"].items()) {
    for (const auto& [method, operation] : methods.items()) {
      std::string upper = method;
      for (char& c : upper) c = static_cast<char>(std::toupper(c));
      EXPECT_NE(service_->Ask(upper, path).status, 404) << path;
      EXPECT_NE(service_->Ask(upper, path).status, 405) << path;
      if (!operation.contains("requestBody")) continue;
      const json& schema = operation["requestBody"]["content"]["application/json"]["schema"];
      if (!schema.contains("properties")) continue;
      ++bodies;
      EXPECT_THAT(service_->Ask(upper, path, R"({"no_such_field":1})").body, HasSubstr("no_such_field")) << path;
      for (const auto& [name, property] : schema["properties"].items()) {
        // Of no field's type: a known name is told what it may hold.
        EXPECT_THAT(service_->Ask(upper, path, json{{name, json::array({true, {{"x", 1}}})}}.dump()).body,
                    HasSubstr(name))
            << path;
      }
    }
  }
  EXPECT_GE(bodies, 12);
}

TEST_F(ServiceTest, TheAccessLogHasALineARequest) {
  ModelChoice choice;
  choice.actor = tiny_.Source("av_known");
  TestService logged(choice, {.access_log = (tiny_ / "log").string()});
  logged.Post("/v1/nla/verbalize", {{"activations", RandomVectors(1, 3)}});
  logged.Ask("GET", "/no\xff");
  std::ifstream log(tiny_ / "log");
  std::vector<json> lines;
  for (std::string line; std::getline(log, line);) lines.push_back(json::parse(line));
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0]["method"], "POST");
  EXPECT_EQ(lines[0]["path"], "/v1/nla/verbalize");
  EXPECT_EQ(lines[0]["status"], 200);
  EXPECT_EQ(lines[0]["completion_tokens"], 4);
  EXPECT_EQ(lines[0]["rid"].get<std::string>().size(), 32U);
  for (const char* key : {"time", "ms", "bytes", "prompt_tokens", "client"}) EXPECT_TRUE(lines[0].contains(key)) << key;
  EXPECT_TRUE(lines[1]["rid"].is_null());
}

}  // namespace
}  // namespace nla::serve
