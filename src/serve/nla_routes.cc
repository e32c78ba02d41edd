// The /v1/nla routes: activations to words, words to vectors, and what they score.
#include <fmt/format.h>

#include <cmath>
#include <numeric>

#include "base/base64.h"
#include "base/fail.h"
#include "nla/metrics.h"
#include "serve/answer_schemas.h"
#include "serve/explanations.h"
#include "serve/float_bytes.h"
#include "serve/generate_answer.h"
#include "serve/generate_request.h"
#include "serve/http_error.h"
#include "serve/nla_requests.h"

namespace nla::serve {
namespace {

int64_t PairWidth(const Context& context) { return context.models.ActorSidecar().d_model; }

OrderedJson VectorsJson(const std::vector<float>& values, int64_t d, const std::string& encoding) {
  const auto rows = static_cast<int64_t>(values.size()) / d;
  if (encoding == "base64") {
    return {{"data", EncodeBase64(Fp32Bytes(values))}, {"dtype", "fp32"}, {"shape", {rows, d}}};
  }
  OrderedJson vectors = OrderedJson::array();
  for (int64_t i = 0; i < rows; ++i) {
    vectors.push_back(std::vector<float>(values.begin() + i * d, values.begin() + (i + 1) * d));
  }
  return vectors;
}

void CheckTexts(const std::vector<std::string>& texts) {
  const size_t count = texts.size();
  if (count >= 1 && count <= static_cast<size_t>(kMostRows)) return;
  FailUsage({.where = "explanations",
             .what = count == 0 ? "is empty" : "has too many entries",
             .found = std::to_string(count),
             .wanted = fmt::format("1 to {} in one request", kMostRows)});
}

HttpResponse Reconstruct(Context& context, Call& call) {
  RequestBody body;
  const auto request = ReadRequest<ReconstructRequest>(call.request.body, body);
  CheckTexts(request.explanations);
  const std::vector<float> vectors = context.models.Reconstruct(request.explanations);
  const auto d = static_cast<int64_t>(vectors.size() / request.explanations.size());
  return JsonAnswer({{"n", request.explanations.size()},
                     {"d", d},
                     {"vectors", VectorsJson(vectors, d, request.encoding)},
                     {"provenance", Provenance(context.models)}});
}

HttpResponse Score(Context& context, Call& call) {
  RequestBody body;
  const auto request = ReadRequest<ScoreRequest>(call.request.body, body);
  CheckTexts(request.explanations);
  const int64_t d = PairWidth(context);
  const ActivationRows gold = ReadActivations(request.vectors, d);
  if (gold.rows != static_cast<int64_t>(request.explanations.size())) {
    FailUsage({.where = "explanations",
               .what = "are of another number than the activations",
               .found = std::to_string(request.explanations.size()),
               .wanted = std::to_string(gold.rows)});
  }
  const std::vector<float> predicted = context.models.Reconstruct(request.explanations);
  OrderedJson rows = OrderedJson::array();
  double mse = 0;
  double cosine = 0;
  for (int64_t i = 0; i < gold.rows; ++i) {
    const OrderedJson scores =
        Scores(context.models, {predicted.data() + i * d, static_cast<size_t>(d)}, gold.Row(i, d));
    mse += scores["mse"].get<double>();
    cosine += scores["cosine"].get<double>();
    rows.push_back(scores);
    rows.back()["index"] = i;
  }
  const auto n = static_cast<double>(gold.rows);
  return JsonAnswer({{"n", gold.rows},
                     {"mse", mse / n},
                     {"cosine_mean", cosine / n},
                     {"rows", std::move(rows)},
                     {"provenance", Provenance(context.models)}});
}

HttpResponse Compare(Context& context, Call& call) {
  RequestBody body;
  const auto request = ReadRequest<CompareRequest>(call.request.body, body);
  std::vector<std::string> texts;
  const auto check = [&](const std::string& text, const NestedFloats& vector, const std::string& side) {
    if (text.empty() != vector.given()) {
      FailUsage({.where = "text_" + side,
                 .what = text.empty() ? "is missing" : "is given beside vector_" + side,
                 .wanted = fmt::format("one of text_{0} and vector_{0}", side)});
    }
    if (!text.empty()) texts.push_back(text);
  };
  check(request.text_a, request.vector_a, "a");
  check(request.text_b, request.vector_b, "b");
  const std::vector<float> rebuilt = texts.empty() ? std::vector<float>() : context.models.Reconstruct(texts);
  const size_t d = texts.empty() ? request.vector_a.values.size() : rebuilt.size() / texts.size();
  const auto side = [&](const NestedFloats& vector, size_t row) {
    return vector.given() ? std::span<const float>(vector.values) : std::span(rebuilt).subspan(row * d, d);
  };
  const std::span<const float> a = side(request.vector_a, 0);
  const std::span<const float> b = side(request.vector_b, texts.size() - 1);
  if (a.empty()) FailUsage({.where = "vector_a", .what = "is empty", .wanted = "at least one number"});
  if (a.size() != b.size()) {
    FailUsage({.where = "vector_a and vector_b",
               .what = "are of different widths",
               .found = fmt::format("{} and {}", a.size(), b.size())});
  }
  return JsonAnswer(
      {{"cosine", Cosine(a, b)}, {"mse", DirectionMse(a, b)}, {"provenance", Provenance(context.models)}});
}

HttpResponse Extract(Context& context, Call& call) {
  RequestBody body;
  const auto request = ReadRequest<ExtractRequest>(call.request.body, body);
  const ServedModel& base = context.models.Base();
  const TextAndPositions where = ReadPositions(request.where, base, base.engine->max_tokens());
  call.state.prompt_tokens = static_cast<int64_t>(where.ids.size());
  const std::vector<float> rows = context.models.Activations(where.ids, where.positions);
  OrderedJson tokens = OrderedJson::array();
  const int64_t d = base.width();
  for (size_t i = 0; i < where.positions.size(); ++i) {
    tokens.push_back(TokenJson(base, where, i));
    tokens.back()["norm"] = Norm({rows.data() + i * d, static_cast<size_t>(d)});
  }
  return JsonAnswer({{"layer", context.models.layer()},
                     {"d", d},
                     {"tokens", std::move(tokens)},
                     {"activations", VectorsJson(rows, d, request.encoding)},
                     {"provenance", Provenance(context.models)}});
}

HttpResponse TokenizeText(Context& context, Call& call) {
  RequestBody body;
  const auto request = ReadRequest<TokenizeRequest>(call.request.body, body);
  const ServedModel& model = context.models.chat();
  const Encoding encoding = model.tokenizer->EncodeWithOffsets(
      request.text, {.add_special = request.add_special, .parse_special = request.parse_special});
  OrderedJson pieces = OrderedJson::array();
  OrderedJson offsets = OrderedJson::array();
  for (size_t i = 0; i < encoding.ids.size(); ++i) {
    pieces.push_back(model.tokenizer->TokenBytes(encoding.ids[i]));
    offsets.push_back({encoding.offsets[i].begin, encoding.offsets[i].end});
  }
  return JsonAnswer({{"model", model.id},
                     {"n", encoding.ids.size()},
                     {"ids", encoding.ids},
                     {"tokens", pieces},
                     {"offsets", offsets}});
}

HttpResponse Verbalize(Context& context, Call& call) {
  const int64_t d = PairWidth(context);
  if (IsOctets(call.request)) {
    return RunVerbalize(context, call, {ReadOctets(call.request, d), ExplanationSampling(), false});
  }
  RequestBody body;
  auto request = ReadRequest<VerbalizeRequest>(call.request.body, body);
  return RunVerbalize(context, call,
                      {ReadActivations(std::move(request.vectors), d), ReadExplanationSampling(request.sampling_params),
                       request.stream});
}

HttpResponse Explain(Context& context, Call& call) {
  RequestBody body;
  const auto request = ReadRequest<ExplainRequest>(call.request.body, body);
  const ServedModel& base = context.models.Base();
  TextAndPositions where = ReadPositions(request.where, base, base.engine->max_tokens());
  const SamplingParams sampling = ReadExplanationSampling(request.sampling_params);
  context.models.Verbalizer();
  std::vector<float> rows = context.models.Activations(where.ids, where.positions);
  const auto count = static_cast<int64_t>(where.positions.size());
  call.state.prompt_tokens = static_cast<int64_t>(where.ids.size());
  return RunExplain(context, call, std::move(where), {{std::move(rows), count}, sampling, request.stream});
}

// A schema whose sampling_params are the table of /generate with the defaults of explanations.
template <typename Request>
OrderedJson SchemaWithSampling() {
  Request request;
  SamplingParams sampling = ExplanationSampling();
  OrderedJson schema = SchemaOf(Fields(request));
  schema["properties"]["sampling_params"] = OrNull(SchemaOf(Fields(sampling)));
  return schema;
}

}  // namespace

void AddNlaRoutes(RouteTable& routes, Context& context) {
  const auto add = [&](const char* path, const char* summary, OrderedJson body, OrderedJson answer, auto run) {
    Route route{.methods = {"POST"}, .path = path, .summary = summary};
    route.rule = Rule::kWork;
    route.body = std::move(body);
    route.answer = std::move(answer);
    route.run = [&context, run](Call& call) { return run(context, call); };
    routes.push_back(std::move(route));
  };
  add("/v1/nla/explain", "explanations of a text's tokens, with their scores", SchemaWithSampling<ExplainRequest>(),
      ExplainSchema(), Explain);
  add("/v1/nla/verbalize", "explanations of activations", SchemaWithSampling<VerbalizeRequest>(), VerbalizeSchema(),
      Verbalize);
  add("/v1/nla/reconstruct", "vectors of explanations", Schema<ReconstructRequest>(), ReconstructSchema(), Reconstruct);
  add("/v1/nla/score", "how well explanations tell activations", Schema<ScoreRequest>(), ScoreSchema(), Score);
  add("/v1/nla/compare", "cosine and mse of two explanations or vectors", Schema<CompareRequest>(), CompareSchema(),
      Compare);
  add("/v1/nla/extract", "activations of a text's tokens", Schema<ExtractRequest>(), ExtractSchema(), Extract);
  add("/v1/nla/tokenize", "ids, pieces and byte offsets of a text", Schema<TokenizeRequest>(), TokenizeSchema(),
      TokenizeText);
}

}  // namespace nla::serve
