// Servers differ in what they answer at all, which tells them apart.
#include "client/server_facts.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/fail.h"

namespace nla {
namespace {

using Json = nlohmann::json;

// The body of a GET as an object; nullopt where the server knows no such address.
std::optional<Json> Get(HttpClient& client, const ServerAddress& address, const std::string& path) {
  const HttpResponse response = client.Run({.url = address.At(path), .headers = address.Headers()});
  if (response.error.empty() && (response.status == 404 || response.status == 405)) return std::nullopt;
  if (!response.ok()) FailServer(response, address, path);
  Json json = Json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  return std::optional<Json>(std::in_place, std::move(json));
}

std::string TextOf(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

ServerFacts FromServerInfo(const Json& info) {
  ServerFacts facts;
  const auto formats = info.find("input_embeds_formats");
  if (formats != info.end() && formats->is_array()) {
    for (const Transport format : {Transport::kJson, Transport::kB64Bf16, Transport::kBytes}) {
      for (const Json& name : *formats) {
        if (name == FieldName(format)) facts.transports.push_back(format);
      }
    }
  }
  const auto width = info.find("d_model");
  if (width != info.end() && width->is_number_integer()) facts.d_model = width->get<int64_t>();
  facts.kind = facts.d_model && !facts.transports.empty() ? ServerKind::kNla : ServerKind::kSglang;
  facts.model = TextOf(info, "served_model_name");
  if (facts.model.empty()) facts.model = TextOf(info, "model_path");
  facts.weight_version = TextOf(info, "weight_version");
  facts.weights_hash = TextOf(info, "weights_hash");
  const auto disabled = info.find("disable_radix_cache");
  facts.caches_by_ids = disabled != info.end() && disabled->is_boolean() && !disabled->get<bool>();
  return facts;
}

// The first of /v1/models; nullopt where there is none.
std::optional<Json> FirstModel(HttpClient& client, const ServerAddress& address) {
  const std::optional<Json> list = Get(client, address, "/v1/models");
  if (!list || !list->contains("data")) return std::nullopt;
  const Json& data = (*list)["data"];
  if (!data.is_array() || data.empty() || !data[0].is_object() || TextOf(data[0], "id").empty()) return std::nullopt;
  return std::optional<Json>(std::in_place, data[0]);
}

ServerFacts VllmFacts(HttpClient& client, const ServerAddress& address) {
  const std::optional<Json> model = FirstModel(client, address);
  if (!model) {
    Fail({.where = address.At("/v1/models"),
          .what = "names no model",
          .mend = "Is this a vLLM? " + address.mending.kind});
  }
  ServerFacts facts;
  facts.kind = ServerKind::kVllm;
  facts.model = TextOf(*model, "id");
  return facts;
}

}  // namespace

std::string ServerAddress::At(const std::string& path) const {
  return url.substr(0, url.find_last_not_of('/') + 1) + path;
}

std::vector<std::pair<std::string, std::string>> ServerAddress::Headers() const {
  std::vector<std::pair<std::string, std::string>> headers = {{"Content-Type", "application/json"}};
  if (!api_key.empty()) headers.emplace_back("Authorization", "Bearer " + api_key);
  return headers;
}

ServerFacts AskServer(HttpClient& client, const ServerAddress& address, std::optional<ServerKind> kind) {
  if (kind == ServerKind::kVllm) return VllmFacts(client, address);
  std::optional<Json> info = Get(client, address, "/server_info");
  if (!info) info = Get(client, address, "/get_server_info");
  if (!kind && info && info->contains("vllm_config")) return VllmFacts(client, address);  // of its development mode
  if (info) {
    ServerFacts facts = FromServerInfo(*info);
    if (kind) facts.kind = *kind;
    return facts;
  }
  const std::optional<Json> model = FirstModel(client, address);
  const std::string owner = model ? TextOf(*model, "owned_by") : "";
  if (!kind && owner == "vllm") return VllmFacts(client, address);
  if (!kind && owner != "sglang") {
    Fail({.where = address.url,
          .what = "is no server that this program knows",
          .found = owner.empty() ? "neither /server_info nor /v1/models" : "models of " + owner,
          .wanted = "nla serve, SGLang or vLLM",
          .mend = address.mending.kind});
  }
  ServerFacts facts;
  facts.kind = kind.value_or(ServerKind::kSglang);
  if (model) facts.model = TextOf(*model, "id");
  return facts;
}

std::string MessageOf(const std::string& body) {
  const Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return body.substr(0, 200);
  if (const auto error = json.find("error"); error != json.end()) {
    if (error->is_object()) return TextOf(*error, "message");
    if (error->is_string()) return error->get<std::string>();
  }
  for (const char* name : {"message", "detail"}) {
    if (std::string text = TextOf(json, name); !text.empty()) return text;
  }
  return body.substr(0, 200);
}

void FailServer(const HttpResponse& response, const ServerAddress& address, const std::string& what) {
  if (!response.error.empty()) {
    Fail({.where = address.At(what), .what = "there is no answer of use", .found = response.error});
  }
  const std::string message = MessageOf(response.body);
  if (response.status == 401 || response.status == 403) {
    Fail({.where = address.At(what),
          .what = address.api_key.empty() ? "the server wants a key" : "the server wants another key",
          .found = fmt::format("{} {}", response.status, message),
          .mend = address.mending.key});
  }
  Fail({.where = address.At(what), .what = fmt::format("the server answered {}", response.status), .found = message});
}

}  // namespace nla
