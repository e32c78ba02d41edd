// Tables and checks of the /v1/nla routes.
#include "serve/nla_requests.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <numeric>

#include "base/base64.h"
#include "base/fail.h"
#include "serve/float_bytes.h"

namespace nla::serve {
namespace {

void AddActivationFields(FieldTable& table, ActivationFields& f) {
  table.push_back({"activations", &f.activations, "raw activations: [d] numbers, or [n][d]", {.depths = {1, 2}}});
  table.push_back({"activations_b64", &f.activations_b64, "the same as little-endian numbers in base64, with shape"});
  table.push_back({"dtype", &f.dtype, "number format of activations_b64", {.choices = {"fp32", "bf16"}}});
  table.push_back({"shape", &f.shape, "[d] or [n, d] of activations_b64", {.low = 1, .high = 1 << 30}});
}

void AddPositionFields(FieldTable& table, PositionFields& f) {
  table.push_back({"text", &f.text, "the text, tokenised by the base model"});
  table.push_back({"ids", &f.ids, "the text as ids, in place of text", {.low = 0, .high = 2147483647}});
  table.push_back({"positions",
                   &f.positions,
                   "tokens asked about: \"last\", \"all\", or 0-based numbers; negative ones count from the end",
                   {.shapes = {Shape::kText, Shape::kIntegers, Shape::kInteger}}});
  table.push_back({"parse_special", &f.parse_special, "let special tokens be spelled in the text"});
}

void AddSamplingFields(FieldTable& table, Json& sampling_params, bool& stream) {
  table.push_back({"sampling_params",
                   &sampling_params,
                   "how explanations are drawn, by default greedily; as in /generate",
                   {.shapes = {Shape::kObject}}});
  table.push_back({"stream", &stream, "answer with server-sent events"});
}

RequestField EncodingField(std::string& target) {
  return {"encoding",
          &target,
          "vectors as JSON numbers, or as little-endian fp32 in base64",
          {.choices = {"json", "base64"}}};
}

RequestField Explanations(std::vector<std::string>& target) {
  return {"explanations", &target, "an explanation, or a list of them, without their tags", {.required = true}};
}

void CheckRows(int64_t rows, const char* field) {
  if (rows >= 1 && rows <= kMostRows) return;
  FailUsage({.where = field,
             .what = rows == 0 ? "is empty" : "has too many rows",
             .found = std::to_string(rows),
             .wanted = fmt::format("1 to {} in one request", kMostRows)});
}

ActivationRows Checked(std::vector<float> values, int64_t d, const char* field) {
  const auto rows = static_cast<int64_t>(values.size()) / d;
  CheckRows(rows, field);
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    FailUsage({.where = fmt::format("{} row {}", field, static_cast<int64_t>(i) / d),
               .what = "holds NaN or Inf",
               .wanted = "finite numbers"});
  }
  return {std::move(values), rows};
}

[[noreturn]] void FailWidth(int64_t found, int64_t d, const char* field) {
  FailUsage({.where = field,
             .what = "rows of another width than the pair's",
             .found = std::to_string(found),
             .wanted = std::to_string(d)});
}

FloatFormat FormatOf(const std::string& dtype) {
  if (dtype == "fp32") return FloatFormat::kFp32;
  if (dtype == "bf16") return FloatFormat::kBf16;
  FailUsage({.where = "dtype", .what = "unknown value", .found = dtype, .wanted = "fp32, bf16"});
}

}  // namespace

FieldTable Fields(VerbalizeRequest& r) {
  FieldTable table;
  AddActivationFields(table, r.vectors);
  AddSamplingFields(table, r.sampling_params, r.stream);
  return table;
}

FieldTable Fields(ExplainRequest& r) {
  FieldTable table;
  AddPositionFields(table, r.where);
  AddSamplingFields(table, r.sampling_params, r.stream);
  return table;
}

FieldTable Fields(ExtractRequest& r) {
  FieldTable table;
  AddPositionFields(table, r.where);
  table.push_back(EncodingField(r.encoding));
  return table;
}

FieldTable Fields(ReconstructRequest& r) { return {Explanations(r.explanations), EncodingField(r.encoding)}; }

FieldTable Fields(ScoreRequest& r) {
  FieldTable table{Explanations(r.explanations)};
  AddActivationFields(table, r.vectors);
  return table;
}

FieldTable Fields(CompareRequest& r) {
  return {
      {"text_a", &r.text_a, "an explanation; its reconstructed vector is compared"},
      {"text_b", &r.text_b, "the other one"},
      {"vector_a", &r.vector_a, "a vector [d], in place of text_a", {.depths = {1}}},
      {"vector_b", &r.vector_b, "the other one", {.depths = {1}}},
  };
}

FieldTable Fields(TokenizeRequest& r) {
  return {
      {"text", &r.text, "the text", {.required = true}},
      {"add_special", &r.add_special, "add what the tokenizer puts around a text"},
      {"parse_special", &r.parse_special, "let special tokens be spelled in the text"},
  };
}

SamplingParams ExplanationSampling() {
  SamplingParams params;
  params.temperature = 0;
  params.max_new_tokens = 150;
  params.skip_special_tokens = false;
  return params;
}

SamplingParams ReadExplanationSampling(const Json& given) {
  SamplingParams params = ExplanationSampling();
  if (!given.is_null()) ReadObject(Fields(params), given, "sampling_params");
  Check(params, "sampling_params");
  return params;
}

ActivationRows ReadActivations(ActivationFields fields, int64_t d) {
  if (fields.activations.given() == fields.activations_b64.given) {
    FailUsage({.where = "activations",
               .what = fields.activations.given() ? "is given in two ways" : "is missing",
               .wanted = "one of activations and activations_b64"});
  }
  if (fields.activations.given()) {
    if (!fields.shape.empty()) FailUsage({.where = "shape", .what = "belongs to activations_b64"});
    for (const int64_t width : fields.activations.lengths.back()) {
      if (width != d) FailWidth(width, d, "activations");
    }
    return Checked(std::move(fields.activations.values), d, "activations");
  }
  const FloatFormat format = FormatOf(fields.dtype);
  std::vector<float> values =
      FloatsFromBytes(DecodeBase64(fields.activations_b64.text, "activations_b64"), format, "activations_b64");
  const std::optional<uint64_t> wanted = CheckedProduct(fields.shape);
  if (fields.shape.empty() || fields.shape.size() > 2) {
    FailUsage({.where = "shape", .what = "has another number of sizes", .wanted = "[d] or [n, d]"});
  }
  if (fields.shape.back() != d) FailWidth(fields.shape.back(), d, "shape");
  if (wanted != values.size()) {
    FailUsage({.where = "activations_b64",
               .what = "holds another number of values than shape says",
               .found = std::to_string(values.size()),
               .wanted = wanted ? std::to_string(*wanted) : "a product that is a number"});
  }
  return Checked(std::move(values), d, "activations_b64");
}

bool IsOctets(const HttpRequest& request) {
  return request.Header("Content-Type").starts_with("application/octet-stream");
}

ActivationRows ReadOctets(const HttpRequest& request, int64_t d) {
  const auto parameter = [&](const char* name, const char* header) -> std::string {
    const auto found = request.query.find(name);
    return found != request.query.end() ? found->second : std::string(request.Header(header));
  };
  const std::string width = parameter("d", "X-NLA-D");
  int64_t number = 0;
  const auto [end, error] = std::from_chars(width.data(), width.data() + width.size(), number);
  if (error != std::errc() || end != width.data() + width.size()) {
    FailUsage({.where = "d",
               .what = "is missing or no number",
               .found = width.substr(0, 30),
               .wanted = fmt::format("?d={}, the width of a row", d)});
  }
  if (number != d) FailWidth(number, d, "d");
  const std::string dtype = parameter("dtype", "X-NLA-Dtype");
  std::vector<float> values = FloatsFromBytes(request.body, FormatOf(dtype.empty() ? "fp32" : dtype), "body");
  if (values.size() % static_cast<size_t>(d) != 0) {
    FailUsage({.where = "body",
               .what = "is not whole rows",
               .found = fmt::format("{} values", values.size()),
               .wanted = fmt::format("a multiple of {}", d)});
  }
  return Checked(std::move(values), d, "body");
}

TextAndPositions ReadPositions(const PositionFields& fields, const ServedModel& base, int64_t most_tokens) {
  TextAndPositions result;
  if (fields.text.empty() == fields.ids.empty()) {
    FailUsage({.where = "text",
               .what = fields.text.empty() ? "is missing or empty" : "is given beside ids",
               .wanted = "one of text and ids"});
  }
  if (fields.ids.empty()) {
    result.ids = base.tokenizer->Encode(fields.text, {.add_special = true, .parse_special = fields.parse_special});
  } else {
    result.ids.assign(fields.ids.begin(), fields.ids.end());
  }
  const auto count = static_cast<int64_t>(result.ids.size());
  const int64_t vocabulary = base.decoder->spec().vocab_size;
  for (const TokenId id : result.ids) {
    if (id >= vocabulary)
      FailUsage({.where = "ids",
                 .what = "no such token",
                 .found = std::to_string(id),
                 .wanted = fmt::format("0 to {}", vocabulary - 1)});
  }
  if (count > most_tokens) {
    FailUsage({.where = "text",
               .what = "is too long",
               .found = fmt::format("{} tokens", count),
               .wanted = fmt::format("at most {}", most_tokens)});
  }
  std::vector<int64_t> given;
  if (fields.positions == "last") {
    given = {-1};
  } else if (fields.positions == "all") {
    given.resize(count);
    std::iota(given.begin(), given.end(), 0);
  } else if (fields.positions.is_number_integer()) {
    given = {fields.positions.get<int64_t>()};
  } else if (fields.positions.is_array()) {
    given = fields.positions.get<std::vector<int64_t>>();
  } else {
    FailUsage({.where = "positions",
               .what = "unknown value",
               .found = fields.positions.dump().substr(0, 60),
               .wanted = "\"last\", \"all\", or numbers"});
  }
  CheckRows(static_cast<int64_t>(given.size()), "positions");
  for (const int64_t one : given) {
    const int64_t position = one < 0 ? one + count : one;
    if (position < 0 || position >= count) {
      FailUsage({.where = "positions",
                 .what = "no such token",
                 .found = std::to_string(one),
                 .wanted = fmt::format("0 to {} (the text has {} tokens)", count - 1, count)});
    }
    result.positions.push_back(position);
  }
  return result;
}

}  // namespace nla::serve
