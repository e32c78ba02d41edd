// The options of a command that lets a server elsewhere write replies.
#pragma once

#include <string>

#include "cli/command.h"
#include "client/remote_verbalizer.h"

namespace nla::cli {

struct RemoteArguments {
  std::string kind = "auto";
  std::string transport = "auto";
  RemoteOptions options;

  bool given() const { return !options.address.url.empty(); }
  // As the options say, the key of the environment among them.
  RemoteOptions Resolve() const;
};

// --server, --api-key, --server-kind, --transport, --concurrency, --retries, --timeout.
void AddRemoteOptions(Command command, RemoteArguments& arguments);

}  // namespace nla::cli
