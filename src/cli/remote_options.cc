// Words of the command line to RemoteOptions.
#include "cli/remote_options.h"

#include <cstdlib>

#include "base/fail.h"

namespace nla::cli {

RemoteOptions RemoteArguments::Resolve() const {
  RemoteOptions resolved = options;
  ServerAddress& address = resolved.address;
  if (address.url.find("://") == std::string::npos) address.url = "http://" + address.url;
  if (const char* key = std::getenv("NLA_API_KEY"); address.api_key.empty() && key != nullptr) address.api_key = key;
  if (kind == "nla") resolved.kind = ServerKind::kNla;
  if (kind == "sglang") resolved.kind = ServerKind::kSglang;
  if (kind == "vllm") resolved.kind = ServerKind::kVllm;
  if (transport == "json") resolved.transport = Transport::kJson;
  if (transport == "b64_bf16") resolved.transport = Transport::kB64Bf16;
  if (transport == "bytes") resolved.transport = Transport::kBytes;
  return resolved;
}

void AddRemoteOptions(Command command, RemoteArguments& arguments) {
  const char* const remote = "On a server";
  RemoteOptions& options = arguments.options;
  command
      .AddOption("--server", options.address.url,
                 "let this server (nla serve, SGLang or vLLM) write the replies; the prompts are made here")
      .TypeName("URL")
      .Group(remote);
  command.AddOption("--api-key", options.address.api_key, "its key; NLA_API_KEY keeps it out of the list of processes")
      .TypeName("KEY")
      .Group(remote);
  command.AddOption("--server-kind", arguments.kind, "what it is, where it does not say so")
      .ShowDefault()
      .OneOf({"auto", "nla", "sglang", "vllm"})
      .Group(remote);
  command
      .AddOption("--transport", arguments.transport,
                 "how embeddings are sent: auto is bytes where the server takes them, else json; b64_bf16 rounds")
      .ShowDefault()
      .OneOf({"auto", "json", "b64_bf16", "bytes"})
      .Group(remote);
  command.AddOption("--concurrency", options.concurrency, "requests in flight")
      .ShowDefault()
      .Between(1, 1024)
      .Group(remote);
  command.AddOption("--retries", options.http.retries, "of a request that failed, with growing waits")
      .ShowDefault()
      .Between(0, 100)
      .Group(remote);
  command.AddOption("--timeout", options.http.stall_seconds, "seconds without a byte after which a reply is given up")
      .ShowDefault()
      .Between(1.0, 86400.0)
      .Group(remote);
}

}  // namespace nla::cli
