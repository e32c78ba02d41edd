// The routes as an OpenAPI 3.1 document. Bodies come from the tables that the parsers read by.
#include "base/ascii.h"
#include "serve/answer_schemas.h"
#include "serve/routes.h"

namespace nla::serve {
namespace {

OrderedJson Content(const OrderedJson& schema) { return {{"application/json", {{"schema", schema}}}}; }

OrderedJson Answer(const Route& route) {
  OrderedJson answer{{"description", "the answer"}};
  if (!route.answer.is_null()) answer["content"] = Content(route.answer);
  if (!route.answer_type.empty()) answer["content"][route.answer_type] = {{"schema", {{"type", "string"}}}};
  if (!route.body.is_null() && route.body.contains("properties") && route.body["properties"].contains("stream")) {
    answer["content"]["text/event-stream"] = OrderedJson::object();
  }
  return answer;
}

OrderedJson ResponsesOf(const Route& route) {
  const OrderedJson error{{"$ref", "#/components/schemas/Error"}};
  const auto says = [&](const char* text) { return OrderedJson{{"description", text}, {"content", Content(error)}}; };
  OrderedJson responses{{"200", Answer(route)}};
  if (route.methods != std::vector<std::string>{"GET"}) {
    responses["400"] = says("the body is malformed, or a field's value is refused; the message names it");
    if (!route.refusal.is_null()) {
      responses["400"]["content"] = Content({{"anyOf", OrderedJson::array({error, route.refusal})}});
    }
    responses["413"] = says("the body is too large");
  }
  if (route.rule != Rule::kOpen) responses["401"] = says("the key is missing or wrong");
  if (route.rule == Rule::kWork) {
    responses["404"] = says("the model, or the part of a pair that it takes, is not served here");
    responses["429"] = says("too many requests; Retry-After says when to come again");
  }
  responses["503"] = says("the server is starting, stopping or paused, or out of memory");
  return responses;
}

}  // namespace

OrderedJson OpenApi(const RouteTable& routes) {
  OrderedJson paths = OrderedJson::object();
  for (const Route& route : routes) {
    for (const std::string& method : route.methods) {
      OrderedJson operation{{"summary", route.summary}, {"responses", ResponsesOf(route)}};
      if (!route.body.is_null() && method != "GET") {
        operation["requestBody"] = {{"content", {{"application/json", {{"schema", route.body}}}}}};
      }
      if (route.rule != Rule::kOpen) operation["security"] = OrderedJson::array({{{"key", OrderedJson::array()}}});
      paths[route.path][AsciiLowered(method)] = std::move(operation);
    }
  }
  return {{"openapi", "3.1.0"},
          {"info", {{"title", "nla serve"}, {"version", NLA_VERSION}}},
          {"paths", std::move(paths)},
          {"components",
           {{"schemas", {{"Error", ErrorSchema()}}},
            {"securitySchemes", {{"key", {{"type", "http"}, {"scheme", "bearer"}}}}}}}};
}

}  // namespace nla::serve
