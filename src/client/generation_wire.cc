// Bodies are put together as text: half a million numbers of a prompt never become a tree.
#include "client/generation_wire.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/base64.h"
#include "base/fail.h"
#include "weights/float_bits.h"

namespace nla {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

static_assert(std::endian::native == std::endian::little, "numbers are sent as they lie");

constexpr double kGreedyBelow = 1e-6;  // the samplers' rule, here and there

// The shortest decimal that reads back as `value`, always with a point.
void AppendNumber(float value, std::string& out) {
  char buffer[32];
  const char* const end = std::to_chars(buffer, buffer + sizeof(buffer), value).ptr;
  const std::string_view text(buffer, static_cast<size_t>(end - buffer));
  if (text.find('.') != std::string_view::npos) {
    out += text;
    return;
  }
  const size_t exponent = std::min(text.find('e'), text.size());
  out += text.substr(0, exponent);
  out += ".0";
  out += text.substr(exponent);
}

std::string RowsAsJson(std::span<const float> rows, int64_t width) {
  std::string out;
  out.reserve(rows.size() * 14);
  const auto columns = static_cast<size_t>(width);
  for (size_t i = 0; i < rows.size(); ++i) {
    out += i == 0 ? "[[" : i % columns == 0 ? "],[" : ",";
    AppendNumber(rows[i], out);
  }
  return out + "]]";
}

std::string_view BytesOf(std::span<const float> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

std::string Bf16Bytes(std::span<const float> values) {
  std::string bytes;
  bytes.reserve(values.size() * 2);
  for (const float value : values) {
    const uint16_t bits = Bf16FromFloat(value);
    bytes += static_cast<char>(bits & 0xffU);
    bytes += static_cast<char>(bits >> 8);
  }
  return bytes;
}

bool IsSampled(const SamplingOptions& sampling) { return sampling.temperature >= kGreedyBelow; }

// SGLang's names; what both servers call alike.
OrderedJson CommonParameters(const SamplingOptions& s) {
  return {{"temperature", s.temperature},
          {"top_p", s.top_p},
          {"top_k", s.top_k == 0 ? -1 : s.top_k},
          {"min_p", s.min_p},
          {"frequency_penalty", s.frequency_penalty},
          {"presence_penalty", s.presence_penalty},
          {"repetition_penalty", s.repetition_penalty},
          {"skip_special_tokens", false},
          {"stop_token_ids", s.stop_ids}};
}

// The object without its closing brace, ready for another field.
std::string Opened(const OrderedJson& object) {
  std::string text = object.dump();
  text.back() = ',';
  return text;
}

RemoteReply Unusable(std::string why) {
  RemoteReply reply;
  reply.unusable = std::move(why);
  return reply;
}

[[noreturn]] void FailForm(const std::string& where, const std::string& what, const std::string& mend) {
  Fail({.where = where, .what = "the answer is not as wanted", .found = what, .mend = mend});
}

// A stop token belongs to the reply over the wire, and not to ours.
void DropStopToken(std::span<const TokenId> stop_ids, RemoteReply& reply) {
  if (reply.finish != FinishReason::kStop || reply.ids.empty()) return;
  if (std::find(stop_ids.begin(), stop_ids.end(), reply.ids.back()) == stop_ids.end()) return;
  reply.stop_token = {reply.ids.back(), reply.logprobs.back()};
  reply.ids.pop_back();
  reply.logprobs.pop_back();
}

// What both kinds of answers must agree in with themselves.
RemoteReply Checked(RemoteReply reply, int64_t counted, std::span<const TokenId> stop_ids) {
  const auto ids = static_cast<int64_t>(reply.ids.size());
  if (ids != counted || reply.logprobs.size() != reply.ids.size()) {
    return Unusable(
        fmt::format("counts {} tokens, and names {} with {} logprobs", counted, ids, reply.logprobs.size()));
  }
  DropStopToken(stop_ids, reply);
  return reply;
}

RemoteReply GenerateReply(const Json& whole, std::span<const TokenId> stop_ids) {
  const Json& answer = whole.is_array() ? whole.at(0) : whole;
  const Json& meta = answer.at("meta_info");
  const Json& finish = meta.at("finish_reason");
  const std::string type = finish.at("type");
  if (type == "abort") {
    const auto message = finish.find("message");
    const bool said = message != finish.end() && message->is_string();
    return Unusable("was aborted: " + (said ? message->get<std::string>() : std::string("no reason given")));
  }
  if (type != "stop" && type != "length") return Unusable("ended by " + type);
  for (const char* name : {"num_retractions", "total_retractions"}) {
    // SGLang computes a retracted reply again and leaves the logprobs of the first time beside it.
    if (const auto count = meta.find(name); count != meta.end() && count->is_number() && *count > 0) {
      return Unusable(fmt::format("was retracted {} times", count->get<int64_t>()));
    }
  }
  RemoteReply reply;
  reply.finish = type == "stop" ? FinishReason::kStop : FinishReason::kLength;
  const auto version = meta.find("weight_version");
  if (version != meta.end() && version->is_string()) reply.weight_version = version->get<std::string>();
  for (const Json& token : meta.at("output_token_logprobs")) {
    reply.logprobs.push_back(token.at(0).get<double>());
    reply.ids.push_back(token.at(1).get<TokenId>());
  }
  return Checked(std::move(reply), meta.at("completion_tokens").get<int64_t>(), stop_ids);
}

RemoteReply CompletionReply(const Json& whole, std::span<const TokenId> stop_ids) {
  const Json& choice = whole.at("choices").at(0);
  const Json& ended = choice.at("finish_reason");
  const std::string reason = ended.is_string() ? ended.get<std::string>() : "nothing";
  if (reason != "stop" && reason != "length") return Unusable("ended by " + reason);
  RemoteReply reply;
  const auto model = whole.find("model");
  if (model != whole.end() && model->is_string()) reply.weight_version = model->get<std::string>();
  reply.finish = reason == "stop" ? FinishReason::kStop : FinishReason::kLength;
  reply.ids = choice.at("token_ids").get<std::vector<TokenId>>();
  reply.logprobs = choice.at("logprobs").at("token_logprobs").get<std::vector<double>>();
  return Checked(std::move(reply), whole.at("usage").at("completion_tokens").get<int64_t>(), stop_ids);
}

}  // namespace

const char* Name(ServerKind kind) {
  return kind == ServerKind::kNla ? "nla" : kind == ServerKind::kSglang ? "sglang" : "vllm";
}

const char* FieldName(Transport format) {
  return format == Transport::kJson      ? "input_embeds"
         : format == Transport::kB64Bf16 ? "input_embeds_b64_bf16"
                                         : "input_embeds_bytes";
}

std::string GenerateBody(const RemoteRequest& request, Transport transport) {
  const SamplingOptions& s = request.sampling;
  OrderedJson parameters = CommonParameters(s);
  parameters["max_new_tokens"] = s.max_new_tokens;
  parameters["min_new_tokens"] = s.min_new_tokens;
  parameters["no_stop_trim"] = true;
  if (IsSampled(s)) parameters["sampling_seed"] = request.seed;
  // Never beside text or ids: SGLang would take those and drop the embeddings without a word.
  OrderedJson body{{"sampling_params", std::move(parameters)}, {"return_logprob", true}, {"stream", false}};
  if (transport == Transport::kJson) {
    return Opened(body) + "\"input_embeds\":" + RowsAsJson(request.rows, request.width) + "}";
  }
  body["input_embeds_shape"] = {static_cast<int64_t>(request.rows.size()) / request.width, request.width};
  const std::string packed =
      transport == Transport::kBytes ? EncodeBase64(BytesOf(request.rows)) : EncodeBase64(Bf16Bytes(request.rows));
  return fmt::format("{}\"{}\":\"{}\"}}", Opened(body), FieldName(transport), packed);
}

std::string CompletionBody(const RemoteRequest& request, const std::string& model) {
  const SamplingOptions& s = request.sampling;
  OrderedJson body = CommonParameters(s);
  body["model"] = model;
  body["max_tokens"] = s.max_new_tokens;
  body["min_tokens"] = s.min_new_tokens;
  body["logprobs"] = 0;
  body["return_token_ids"] = true;
  if (IsSampled(s)) body["seed"] = request.seed;
  return fmt::format("{}\"prompt_embeds\":\"{}\"}}", Opened(body),
                     EncodeBase64(TorchSaved(request.rows, request.width)));
}

RemoteReply ReadGenerateAnswer(const std::string& body, std::span<const TokenId> stop_ids, const std::string& where) {
  try {
    return GenerateReply(Json::parse(body), stop_ids);
  } catch (const Json::exception& error) {
    FailForm(where, error.what(), "Is this a server with SGLang's /generate? --server-kind says which it is");
  }
}

RemoteReply ReadCompletionAnswer(const std::string& body, std::span<const TokenId> stop_ids, const std::string& where) {
  try {
    return CompletionReply(Json::parse(body), stop_ids);
  } catch (const Json::exception& error) {
    FailForm(where, error.what(), "A vLLM is needed that knows prompt_embeds and return_token_ids");
  }
}

}  // namespace nla
