// An HTTP/1.1 server with a thread a connection. It is our own because the libraries at hand cannot refuse a body that
// they have not read, bound the time of a whole request, or tell a handler that its client has gone.
#pragma once

#include <memory>
#include <string>

#include "serve/connection.h"
#include "serve/http_message.h"

namespace nla::serve {

struct HttpOptions {
  std::string host = "127.0.0.1";
  int port = 30000;           // 0: any that is free
  int max_connections = 512;  // one more is answered 503 at once
  HttpLimits limits = {};
};

class HttpServer {
 public:
  // Binds and begins to answer. The handler is borrowed. Errors name the address that cannot be had.
  HttpServer(const HttpOptions& options, HttpHandler& handler);
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  ~HttpServer();  // Drain(0)

  int port() const;
  // "http://127.0.0.1:30000"
  std::string url() const;
  // Closes the door: no new connection, idle ones are closed, those that work are closed after their answer. Waits for
  // them at most so long. True: none is left.
  bool Drain(double seconds);
  // Cuts the connections that are left, and waits for their threads.
  void Abort();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nla::serve
