// The life of a server: door, models, answering, and the way out.
#pragma once

#include <functional>
#include <string>

#include "serve/http_server.h"
#include "serve/models.h"
#include "serve/service.h"

namespace nla::serve {

struct ServerOptions {
  HttpOptions http;
  ServiceOptions service;
  double drain_seconds = 30;  // for running requests once the server is asked to stop
  uint64_t seed = 0;          // of replies whose request names none
  OrderedJson shown = {};     // of the options, for /server_info
};

// Opens the door, which answers 503, makes the models, says that it is ready, and answers until SIGTERM or SIGINT. Then
// takes no more, lets what runs end, and aborts what takes too long; a second signal ends the process at once.
void RunServer(const ServerOptions& options, const std::function<ModelChoice()>& choose,
               const std::function<void(const HttpServer&, Models&)>& ready);

}  // namespace nla::serve
