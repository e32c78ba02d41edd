// Refusals are told apart by what the servers answer, since the mend differs.
#include "client/server_weights.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "base/fail.h"
#include "base/log.h"

namespace nla {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

constexpr const char* kUpdate = "/update_weights_from_disk";
constexpr const char* kLoad = "/v1/load_lora_adapter";
constexpr const char* kUnload = "/v1/unload_lora_adapter";

// A vLLM answers 500 where it cannot use an adapter; that does not change by asking again.
HttpResponse Post(HttpClient& client, const ServerAddress& address, const char* path, const OrderedJson& body) {
  const HttpRequest post{.url = address.At(path), .headers = address.Headers(), .body = body.dump()};
  HttpResponse response = client.TryOnce(post);
  if (response.may_retry && response.status != 500) response = client.Run(post);
  return response;
}

[[noreturn]] void FailLoad(const HttpResponse& response, const ServerAddress& address, const ServedWeights& weights) {
  const std::string message = MessageOf(response.body);
  if (response.status == 401 || response.status == 403 || !response.error.empty()) {
    FailServer(response, address, kLoad);
  }
  const auto says = [&](const char* words) { return message.find(words) != std::string::npos; };
  // FastAPI's own words: the address is not there.
  if ((response.status == 404 && message == "Not Found") || response.status == 405) {
    Fail({.where = address.At(kLoad),
          .what = "this vLLM takes no adapters while it runs",
          .found = fmt::format("{} {}", response.status, message),
          .mend = "Start it with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True in its environment, and with --enable-lora, "
                  "--max-lora-rank and --enable-prompt-embeds"});
  }
  const std::string mend = says("max_lora_rank")    ? "Start it with --max-lora-rank of the adapters' rank or more"
                           : says("is not enabled") ? "Start it with --enable-lora and --max-lora-rank"
                           : response.status == 404 ? weights.directory + " must be a path that the server can read"
                                                    : "Its own log says more";
  Fail({.where = address.At(kLoad),
        .what = "the server did not load the adapters",
        .found = fmt::format("{} {}", response.status, message),
        .mend = mend});
}

// Names under which a vLLM has adapters from the directory.
std::vector<std::string> AdaptersFrom(HttpClient& client, const ServerAddress& address, const std::string& directory) {
  const HttpResponse response = client.Run({.url = address.At("/v1/models"), .headers = address.Headers()});
  if (!response.ok()) FailServer(response, address, "/v1/models");
  const Json list = Json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  std::vector<std::string> names;
  if (!list.is_object() || !list.contains("data") || !list["data"].is_array()) return names;
  for (const Json& model : list["data"]) {
    if (!model.is_object() || !model.contains("id") || !model["id"].is_string()) continue;
    if (model.contains("root") && model["root"] == directory) names.push_back(model["id"].get<std::string>());
  }
  return names;
}

}  // namespace

void UpdateServedWeights(HttpClient& client, const ServerAddress& address, const ServedWeights& weights) {
  const OrderedJson body = {{"model_path", weights.directory},
                            {"weight_version", weights.version},
                            {"abort_all_requests", true},
                            {"flush_cache", true}};
  const HttpResponse response =
      client.Run({.url = address.At(kUpdate), .headers = address.Headers(), .body = body.dump()});
  if (!response.ok()) FailServer(response, address, kUpdate);
  const Json answer = Json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  const bool success = answer.is_object() && answer.contains("success") && answer["success"] == true;
  if (!success) {
    Fail({.where = address.At(kUpdate),
          .what = "the server did not load the weights",
          .found = response.body.substr(0, 200),
          .mend = weights.directory + " must be a path that the server can read"});
  }
}

void LoadServedAdapter(HttpClient& client, const ServerAddress& address, const ServedWeights& weights) {
  const HttpResponse loaded =
      Post(client, address, kLoad, {{"lora_name", weights.version}, {"lora_path", weights.directory}});
  // The name is new: who has it already has it from a try whose answer was lost.
  const bool had_it = loaded.status == 400 && MessageOf(loaded.body).find("already been loaded") != std::string::npos;
  if (!loaded.ok() && !had_it) FailLoad(loaded, address, weights);
  for (const std::string& name : AdaptersFrom(client, address, weights.directory)) {
    if (name == weights.version) continue;
    const HttpResponse unloaded = Post(client, address, kUnload, {{"lora_name", name}});
    if (unloaded.ok() || unloaded.status == 404) continue;  // somebody else was faster
    // It only takes up room, and is tried again after the next step.
    spdlog::warn(
        "{}: the adapter {} was not unloaded: {}", address.url, name,
        unloaded.error.empty() ? fmt::format("{} {}", unloaded.status, MessageOf(unloaded.body)) : unloaded.error);
  }
}

}  // namespace nla
