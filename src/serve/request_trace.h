// One request as spans: its own, and the parts that are known of it.
#pragma once

#include <vector>

#include "serve/http_message.h"
#include "serve/trace.h"

namespace nla::serve {

// The spans of a request that ends now: a server's span, and inside it "queue" (waiting for its turn), "prefill" (from
// the submission of its replies to the first token, the engine's own queue included) and "decode" (to the last token).
// Goes on with the caller's trace where there is one. Empty: the caller does not want this one recorded.
std::vector<Span> SpansOf(const HttpRequest& request, const RequestState& state, const HttpHandler::Outcome& outcome);

}  // namespace nla::serve
