// The table of routes: what is answered, by whom, under which rules; and the schema of each body.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "serve/admission.h"
#include "serve/json_text.h"
#include "serve/models.h"
#include "serve/replies.h"
#include "serve/server_metrics.h"

namespace nla::serve {

// What handlers share. Borrows all of it.
struct Context {
  Context(Models& served, ServerMetrics& counts, const Admission& door)
      : models(served), metrics(counts), admission(door) {}

  Models& models;
  ServerMetrics& metrics;
  const Admission& admission;
  ActiveReplies active = {};
  uint64_t seed = 0;                  // of replies whose request names none
  std::atomic<uint64_t> replies = 0;  // so many seeds were drawn
  OrderedJson options = {};           // for /server_info

  // A seed of its own for each call, below 2^53 so that every JSON reader keeps it.
  uint64_t NextSeed();
};

// One request on its way through a handler.
struct Call {
  const HttpRequest& request;
  RequestState& state;
  const ClientLink& client;
};

enum class Rule {
  kOpen,   // needs no key and no turn
  kPlain,  // needs the key
  kWork,   // needs the key, a turn and an allowance
};

// In which words a route's errors are answered.
enum class ErrorStyle { kNative, kOpenAi };

struct Route {
  std::vector<std::string> methods;
  std::string path;
  std::string summary;
  Rule rule = Rule::kPlain;
  ErrorStyle errors = ErrorStyle::kNative;
  OrderedJson body = nullptr;     // JSON schema of the body
  OrderedJson answer = nullptr;   // JSON schema of the answer; null: it has no body, or one of answer_type
  std::string answer_type = {};   // of an answer that is not JSON
  OrderedJson refusal = nullptr;  // JSON schema of a 400 of its own, beside the usual ones
  std::function<HttpResponse(Call&)> run = {};
};
using RouteTable = std::vector<Route>;

// Each adds its routes; the context outlives the table.
void AddGenerateRoutes(RouteTable& routes, Context& context);
void AddAdminRoutes(RouteTable& routes, Context& context);
void AddOpenAiRoutes(RouteTable& routes, Context& context);
void AddNlaRoutes(RouteTable& routes, Context& context);
// All of them, and /openapi.json, which describes them.
RouteTable MakeRoutes(Context& context);
OrderedJson OpenApi(const RouteTable& routes);

HttpResponse JsonAnswer(const OrderedJson& value, int status = 200);
// An answer of server-sent events. An exception of `events` becomes an event, then comes [DONE].
HttpResponse EventStream(std::function<void(BodyWriter&)> events);
// Sends one event; ClientGone when it cannot.
void SendEvent(BodyWriter& writer, const OrderedJson& event);

}  // namespace nla::serve
