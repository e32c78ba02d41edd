// The bodies of the /v1/nla routes.
#pragma once

#include <string>
#include <vector>

#include "serve/models.h"
#include "serve/request_fields.h"
#include "serve/routes.h"
#include "serve/sampling_request.h"

namespace nla::serve {

inline constexpr int64_t kMostRows = 1024;  // activations, explanations or positions of one request

// Activations: as JSON, or in base64 with a shape, or (where the whole body is octets) in the body itself.
struct ActivationFields {
  NestedFloats activations = {};
  Blob activations_b64 = {};
  std::string dtype = "fp32";
  std::vector<int64_t> shape = {};
};
// Rows of raw activations.
struct ActivationRows {
  std::vector<float> values;
  int64_t rows = 0;
  std::span<const float> Row(int64_t i, int64_t d) const { return {values.data() + i * d, static_cast<size_t>(d)}; }
};

// A text, or its ids, and the tokens of it that are asked about.
struct PositionFields {
  std::string text;
  std::vector<int64_t> ids = {};
  Json positions = "last";
  bool parse_special = false;
};
struct TextAndPositions {
  std::vector<TokenId> ids;
  std::vector<int64_t> positions;  // 0-based, in the order asked for
};

struct VerbalizeRequest {
  ActivationFields vectors;
  Json sampling_params = {};
  bool stream = false;
};
struct ExplainRequest {
  PositionFields where;
  Json sampling_params = {};
  bool stream = false;
};
struct ExtractRequest {
  PositionFields where;
  std::string encoding = "json";
};
struct ReconstructRequest {
  std::vector<std::string> explanations = {};
  std::string encoding = "json";
};
struct ScoreRequest {
  std::vector<std::string> explanations = {};
  ActivationFields vectors;
};
struct CompareRequest {
  std::string text_a, text_b;
  NestedFloats vector_a = {}, vector_b = {};
};
struct TokenizeRequest {
  std::string text;
  bool add_special = true;
  bool parse_special = false;
};

FieldTable Fields(VerbalizeRequest& request);
FieldTable Fields(ExplainRequest& request);
FieldTable Fields(ExtractRequest& request);
FieldTable Fields(ReconstructRequest& request);
FieldTable Fields(ScoreRequest& request);
FieldTable Fields(CompareRequest& request);
FieldTable Fields(TokenizeRequest& request);

// Greedy, 150 tokens, special tokens shown: what the verbalizer does where nothing is asked for.
SamplingParams ExplanationSampling();
// The same with what the body says.
SamplingParams ReadExplanationSampling(const Json& given);

// Checked: all finite, of width d, at most kMostRows.
ActivationRows ReadActivations(ActivationFields fields, int64_t d);
// A body of octets: "d" and "dtype" are query parameters or headers (X-NLA-D, X-NLA-Dtype).
ActivationRows ReadOctets(const HttpRequest& request, int64_t d);
bool IsOctets(const HttpRequest& request);
// `most_tokens`: of the text.
TextAndPositions ReadPositions(const PositionFields& fields, const ServedModel& base, int64_t most_tokens);

// Parses a body by the table of its request type. Blobs of the result borrow from `body`.
template <typename Request>
Request ReadRequest(std::string_view text, RequestBody& body) {
  Request request;
  const FieldTable table = Fields(request);
  body = ParseFor(table, text);
  ReadBody(table, body);
  return request;
}

}  // namespace nla::serve
