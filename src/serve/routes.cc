// The table put together, and what handlers share.
#include "serve/routes.h"

#include "serve/http_error.h"

namespace nla::serve {

uint64_t Context::NextSeed() {
  // A permutation of 64 bits (SplitMix64's), so that neighbours are far apart.
  uint64_t x = seed + ++replies * 0x9e3779b97f4a7c15U;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
  x = (x ^ x >> 27) * 0x94d049bb133111ebU;
  return (x ^ x >> 31) >> 11;
}

HttpResponse JsonAnswer(const OrderedJson& value, int status) { return {.status = status, .body = JsonText(value)}; }

void SendEvent(BodyWriter& writer, const OrderedJson& event) {
  if (!writer.Write(SseFrame(JsonText(event)))) throw ClientGone();
}

HttpResponse EventStream(std::function<void(BodyWriter&)> events) {
  HttpResponse response{.content_type = "text/event-stream; charset=utf-8"};
  response.headers.emplace_back("Cache-Control", "no-cache");
  response.stream = [events = std::move(events)](BodyWriter& writer) {
    try {
      events(writer);
    } catch (const ClientGone&) {
      throw;
    } catch (const std::exception& error) {
      SendEvent(writer, {{"error", {{"message", error.what()}}}});
    }
    if (!writer.Write(kSseDone)) throw ClientGone();
  };
  return response;
}

RouteTable MakeRoutes(Context& context) {
  RouteTable routes;
  AddNlaRoutes(routes, context);
  AddGenerateRoutes(routes, context);
  AddOpenAiRoutes(routes, context);
  AddAdminRoutes(routes, context);
  Route document{.methods = {"GET"}, .path = "/openapi.json", .summary = "this document"};
  document.rule = Rule::kOpen;
  document.answer = {{"type", "object"}};
  routes.push_back(document);
  routes.back().run = [text = JsonText(OpenApi(routes))](Call&) { return HttpResponse{.body = text}; };
  return routes;
}

}  // namespace nla::serve
