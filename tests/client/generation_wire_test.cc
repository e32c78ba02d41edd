#include "client/generation_wire.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/base64.h"
#include "base/error_testing.h"
#include "base/scratch_testing.h"
#include "base/subprocess.h"

namespace nla {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

// Numbers that are easily written wrong.
const std::vector<float> kRows = {0,
                                  -0.0F,
                                  1,
                                  -3,
                                  1e10F,
                                  1e-10F,
                                  16777216,
                                  std::numeric_limits<float>::denorm_min(),
                                  std::numeric_limits<float>::max(),
                                  0.1F,
                                  -60000,
                                  1.0F / 3};

RemoteRequest SomeRequest() {
  RemoteRequest request{.rows = kRows, .width = 4};
  request.sampling.temperature = 0;
  request.sampling.stop_ids = {7, 8};
  request.sampling.max_new_tokens = 5;
  request.seed = 11;
  return request;
}

std::vector<float> FloatsOf(const std::string& bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

TEST(GenerateBody, NumbersReadBackAndHaveAPoint) {
  const std::string text = GenerateBody(SomeRequest(), Transport::kJson);
  const json body = json::parse(text);
  ASSERT_EQ(body["input_embeds"].size(), 3U);
  for (size_t i = 0; i < kRows.size(); ++i) {
    const json& number = body["input_embeds"][i / 4][i % 4];
    EXPECT_TRUE(number.is_number_float()) << number;  // not an integer: SGLang would see a batch
    const auto value = number.get<float>();
    EXPECT_EQ(std::memcmp(&value, &kRows[i], sizeof(value)), 0) << number;
  }
  // What one reader takes for a float without a point, another need not.
  const size_t begin = text.find("[[") + 2;
  std::string numbers = text.substr(begin, text.find("]]") - begin);
  std::replace(numbers.begin(), numbers.end(), '[', ' ');
  std::replace(numbers.begin(), numbers.end(), ']', ' ');
  std::istringstream list(numbers);
  int count = 0;
  for (std::string number; std::getline(list, number, ',');) count += number.find('.') != std::string::npos ? 1 : 0;
  EXPECT_EQ(count, 12) << numbers;
}

TEST(GenerateBody, BinaryTransportsHoldTheSame) {
  const json bytes = json::parse(GenerateBody(SomeRequest(), Transport::kBytes));
  EXPECT_EQ(FloatsOf(DecodeBase64(bytes["input_embeds_bytes"].get<std::string>(), "x")), kRows);
  EXPECT_EQ(bytes["input_embeds_shape"], json({3, 4}));
  const json half = json::parse(GenerateBody(SomeRequest(), Transport::kB64Bf16));
  const std::string raw = DecodeBase64(half["input_embeds_b64_bf16"].get<std::string>(), "x");
  ASSERT_EQ(raw.size(), kRows.size() * 2);
  EXPECT_EQ(raw.substr(4, 2), std::string("\x80\x3f", 2));  // 1
  EXPECT_FALSE(half.contains("input_embeds"));
}

TEST(GenerateBody, SaysEveryParameterAndNoOtherPrompt) {
  RemoteRequest request = SomeRequest();
  json body = json::parse(GenerateBody(request, Transport::kBytes));
  for (const char* other : {"text", "input_ids", "input_embeds"}) EXPECT_FALSE(body.contains(other)) << other;
  EXPECT_EQ(body["return_logprob"], true);
  json& sampling = body["sampling_params"];
  EXPECT_EQ(sampling["top_k"], -1);
  EXPECT_EQ(sampling["max_new_tokens"], 5);
  EXPECT_EQ(sampling["stop_token_ids"], json({7, 8}));
  EXPECT_EQ(sampling["skip_special_tokens"], false);
  EXPECT_FALSE(sampling.contains("sampling_seed"));  // greedy
  request.sampling.temperature = 0.5;
  request.sampling.top_k = 9;
  sampling = json::parse(GenerateBody(request, Transport::kBytes))["sampling_params"];
  EXPECT_EQ(sampling["sampling_seed"], 11);
  EXPECT_EQ(sampling["top_k"], 9);
}

json GoodAnswer() {
  return {{"text", "x"},
          {"output_ids", {1}},
          {"meta_info",
           {{"finish_reason", {{"type", "stop"}, {"matched", 8}}},
            {"completion_tokens", 3},
            {"output_token_logprobs", {{-0.5, 4, nullptr}, {-0.25, 5, nullptr}, {-1, 8, nullptr}}}}}};
}

RemoteReply Read(const json& answer) {
  const std::vector<TokenId> stop = {7, 8};
  return ReadGenerateAnswer(answer.dump(), stop, "here");
}

TEST(GenerateAnswer, IdsAreThoseOfTheLogprobsWithoutTheStopToken) {
  for (const json& answer : {GoodAnswer(), json::array({GoodAnswer()})}) {
    const RemoteReply reply = Read(answer);
    EXPECT_EQ(reply.unusable, "");
    EXPECT_THAT(reply.ids, ElementsAre(4, 5));
    EXPECT_THAT(reply.logprobs, ElementsAre(-0.5, -0.25));
    EXPECT_EQ(reply.finish, FinishReason::kStop);
  }
  json cut = GoodAnswer();
  cut["meta_info"]["finish_reason"] = {{"type", "length"}, {"length", 3}};
  EXPECT_THAT(Read(cut).ids, ElementsAre(4, 5, 8));
  EXPECT_EQ(Read(cut).finish, FinishReason::kLength);
}

TEST(GenerateAnswer, WhatIsNotWholeIsNotUsed) {
  const auto spoiled = [](const auto& change) {
    json answer = GoodAnswer();
    change(answer["meta_info"]);
    return Read(answer).unusable;
  };
  EXPECT_THAT(spoiled([](json& meta) { meta["completion_tokens"] = 4; }), HasSubstr("counts 4 tokens, and names 3"));
  EXPECT_THAT(spoiled([](json& meta) { meta["num_retractions"] = 2; }), HasSubstr("retracted 2 times"));
  EXPECT_THAT(spoiled([](json& meta) { meta["total_retractions"] = 1; }), HasSubstr("retracted 1 times"));
  EXPECT_THAT(spoiled([](json& meta) {
                meta["finish_reason"] = {{"type", "abort"}, {"message", "full"}};
              }),
              HasSubstr("aborted: full"));
  EXPECT_EQ(spoiled([](json& meta) { meta["num_retractions"] = 0; }), "");
}

TEST(GenerateAnswer, AnotherFormIsAnError) {
  for (const char* body : {"", "[]", "{}", "7", R"({"meta_info": {}})", R"({"meta_info": {"finish_reason": null}})",
                           R"({"meta_info":{"finish_reason":{"type":"stop"},"completion_tokens":1}})"}) {
    EXPECT_THAT(Refusal([&] { ReadGenerateAnswer(body, {}, "here"); }), HasSubstr("here: the answer is not as wanted"))
        << body;
  }
}

TEST(CompletionAnswer, ReadsIdsAndLogprobs) {
  json choice = {{"finish_reason", "stop"}, {"token_ids", {4, 8}}};
  choice["logprobs"]["token_logprobs"] = {-0.5, -1.0};
  json answer;
  answer["choices"] = json::array({choice});
  answer["usage"]["completion_tokens"] = 2;
  const std::vector<TokenId> stop = {8};
  const RemoteReply reply = ReadCompletionAnswer(answer.dump(), stop, "here");
  EXPECT_EQ(reply.unusable, "");
  EXPECT_THAT(reply.ids, ElementsAre(4));
  EXPECT_THAT(reply.logprobs, ElementsAre(-0.5));
  EXPECT_THAT(Refusal([&] { ReadCompletionAnswer(R"({"choices":[{"finish_reason":"stop"}]})", stop, "here"); }),
              HasSubstr("return_token_ids"));
}

TEST(TorchSaved, PythonLoadsTheSameTensor) {
  const ScratchDirectory scratch;
  std::ofstream(scratch / "tensor.pt", std::ios::binary) << TorchSaved(kRows, 4);
  const std::string code =
      "import struct, sys, torch\n"
      "tensor = torch.load(sys.argv[1], weights_only=True)\n"
      "print(list(tensor.shape), tensor.dtype, struct.pack('<12f', *tensor.flatten().tolist()).hex())\n";
  const ProcessResult result = RunProcess({NLA_PYTHON, "-W", "ignore", "-c", code, (scratch / "tensor.pt").string()});
  std::string hex;
  for (const float value : kRows) {
    unsigned char bytes[4];
    std::memcpy(bytes, &value, 4);
    for (const unsigned char byte : bytes) hex += fmt::format("{:02x}", byte);
  }
  EXPECT_EQ(result.output, "[3, 4] torch.float32 " + hex + "\n");
}

}  // namespace
}  // namespace nla
