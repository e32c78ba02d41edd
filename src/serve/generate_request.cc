// From a body to prompts.
#include "serve/generate_request.h"

#include <ATen/ops/from_blob.h>
#include <fmt/format.h>

#include <array>
#include <memory>
#include <mutex>
#include <random>

#include "base/base64.h"
#include "base/fail.h"
#include "serve/float_bytes.h"

namespace nla::serve {
namespace {

// Rows of floats that the tensors made of them keep alive.
class Rows {
 public:
  Rows(std::vector<float> values, int64_t width)
      : values_(std::make_shared<std::vector<float>>(std::move(values))), width_(width) {}
  Prompt Cut(int64_t first, int64_t count) const {
    float* begin = values_->data() + first * width_;
    return {at::from_blob(
                begin, {count, width_}, [keep = values_](void*) {}, at::kFloat),
            {}};
  }

 private:
  std::shared_ptr<std::vector<float>> values_;
  int64_t width_;
};

void CheckWidth(int64_t found, const ServedModel& model, const std::string& field) {
  if (found == model.width()) return;
  FailUsage({.where = field,
             .what = "rows of another width than the model's",
             .found = std::to_string(found),
             .wanted = std::to_string(model.width())});
}

// Lengths of the prompts that [T, d] or [B, T, d] stand for.
void AddPrompts(std::vector<float> values, const std::vector<int64_t>& lengths, int64_t width, GenerateJob& job) {
  const Rows rows(std::move(values), width);
  int64_t first = 0;
  for (const int64_t length : lengths) {
    if (length == 0) FailUsage({.where = "input_embeds", .what = "a prompt has no rows", .wanted = "at least one"});
    job.prompts.push_back(rows.Cut(first, length));
    first += length;
  }
}

void ReadNested(const ServedModel& model, GenerateJob& job) {
  NestedFloats& floats = job.request.input_embeds;
  job.batch = floats.depth == 3;
  if (floats.values.empty()) {
    FailUsage({.where = "input_embeds", .what = "is empty", .wanted = "[T][d] numbers, or [B][T][d]"});
  }
  for (const int64_t width : floats.lengths.back()) CheckWidth(width, model, "input_embeds");
  const std::vector<int64_t> lengths = floats.lengths[floats.depth - 2];
  AddPrompts(std::move(floats.values), lengths, model.width(), job);
}

void ReadBinary(const ServedModel& model, GenerateJob& job) {
  const GenerateRequest& r = job.request;
  const bool half = r.input_embeds_b64_bf16.given;
  const std::string field = half ? "input_embeds_b64_bf16" : "input_embeds_bytes";
  const std::string_view text = half ? r.input_embeds_b64_bf16.text : r.input_embeds_bytes.text;
  const std::vector<int64_t>& shape = r.input_embeds_shape;
  if (shape.size() != 2 && shape.size() != 3) {
    FailUsage({.where = "input_embeds_shape",
               .what = shape.empty() ? "is missing" : "has another number of sizes",
               .wanted = "[T, d] or [B, T, d] beside " + field});
  }
  const bool batch = shape.size() == 3;
  CheckWidth(shape.back(), model, "input_embeds_shape");
  std::vector<float> values =
      FloatsFromBytes(DecodeBase64(text, field), half ? FloatFormat::kBf16 : FloatFormat::kFp32, field);
  const std::optional<uint64_t> wanted = CheckedProduct(shape);
  if (!wanted || *wanted != values.size() || values.empty()) {
    FailUsage({.where = field,
               .what = "holds another number of values than input_embeds_shape says",
               .found = std::to_string(values.size()),
               .wanted = wanted ? std::to_string(*wanted) : "a shape whose product is a number"});
  }
  job.batch = batch;
  AddPrompts(std::move(values), std::vector<int64_t>(batch ? shape[0] : 1, shape[shape.size() - 2]), model.width(),
             job);
}

void ReadTexts(const ServedModel& model, GenerateJob& job) {
  const Json& text = job.request.text;
  job.batch = text.is_array();
  if (!job.batch) return job.prompts.push_back(PromptOfText(model, text.get_ref<const std::string&>(), "text"));
  for (const Json& one : text) job.prompts.push_back(PromptOfText(model, one.get_ref<const std::string&>(), "text"));
}

void ReadIds(const ServedModel& model, GenerateJob& job) {
  const Json& ids = job.request.input_ids;
  job.batch = !ids.empty() && ids[0].is_array();
  if (!job.batch) return job.prompts.push_back(PromptOfIds(model, TokenIds(ids), "input_ids"));
  for (const Json& one : ids) job.prompts.push_back(PromptOfIds(model, TokenIds(one), "input_ids"));
}

void ReadPrompts(const std::set<std::string>& given, const ServedModel& model, GenerateJob& job) {
  std::vector<std::string> found;
  for (const char* name : {"text", "input_ids", "input_embeds", "input_embeds_b64_bf16", "input_embeds_bytes"}) {
    if (given.contains(name)) found.emplace_back(name);
  }
  if (found.size() != 1) {
    std::string all;
    for (const std::string& name : found) all += (all.empty() ? "" : " and ") + name;
    FailUsage(
        {.where = "body",
         .what = found.empty() ? "there is no prompt" : "there is more than one prompt",
         .found = all,
         .wanted = "exactly one of text, input_ids, input_embeds (or input_embeds_b64_bf16, input_embeds_bytes)"});
  }
  if (given.contains("input_embeds_shape") && found[0] != "input_embeds_b64_bf16" && found[0] != "input_embeds_bytes") {
    FailUsage(
        {.where = "input_embeds_shape", .what = "belongs to a binary transport", .found = found[0] + " beside it"});
  }
  if (found[0] == "text") return ReadTexts(model, job);
  if (found[0] == "input_ids") return ReadIds(model, job);
  if (found[0] == "input_embeds") return ReadNested(model, job);
  ReadBinary(model, job);
}

void CheckCount(const char* field, size_t found, size_t wanted) {
  if (found == wanted) return;
  FailUsage({.where = field,
             .what = "has another number of entries than there are prompts",
             .found = std::to_string(found),
             .wanted = std::to_string(wanted)});
}

void ReadAllSampling(GenerateJob& job) {
  const Json& given = job.request.sampling_params;
  const size_t prompts = job.prompts.size();
  if (given.is_array()) {
    CheckCount("sampling_params", given.size(), prompts);
    for (size_t i = 0; i < prompts; ++i) {
      job.sampling.push_back(ReadSampling(given[i], fmt::format("sampling_params[{}]", i)));
    }
  } else {
    job.sampling.assign(prompts, ReadSampling(given.is_null() ? Json::object() : given, "sampling_params"));
  }
  int64_t replies = 0;
  for (const SamplingParams& params : job.sampling) {
    replies += params.n;
    if (params.n != job.sampling[0].n) {
      FailUsage({.where = "sampling_params.n", .what = "differs from prompt to prompt", .wanted = "one n for all"});
    }
  }
  if (replies > kMostReplies) {
    FailUsage({.where = "body",
               .what = "asks for too many replies",
               .found = std::to_string(replies),
               .wanted = fmt::format("at most {} in one request", kMostReplies)});
  }
}

// Whether logprobs of every prompt can begin where they are asked for.
void CheckStart(const GenerateJob& job) {
  if (!job.request.prompt_logprobs()) return;
  for (const Prompt& prompt : job.prompts) {
    if (prompt.ids.empty()) {
      FailUsage({.where = "logprob_start_len",
                 .what = "rows of embeddings are no tokens that could have logprobs",
                 .found = std::to_string(job.request.logprob_start_len),
                 .wanted = "-1, or a prompt of text or input_ids"});
    }
    const auto tokens = static_cast<int64_t>(prompt.ids.size());
    if (job.request.logprob_start_len < tokens) continue;
    FailUsage({.where = "logprob_start_len",
               .what = "is behind the end of a prompt",
               .found = std::to_string(job.request.logprob_start_len),
               .wanted = fmt::format("less than its {} tokens", tokens)});
  }
}

void ReadRids(GenerateJob& job) {
  const Json& given = job.request.rid;
  const size_t prompts = job.prompts.size();
  if (given.is_array()) {
    CheckCount("rid", given.size(), prompts);
    job.rids = given.get<std::vector<std::string>>();
  } else if (given.is_string() && !job.batch) {
    job.rids = {given.get<std::string>()};
  } else {
    const std::string base = given.is_string() ? given.get<std::string>() : "";
    for (size_t i = 0; i < prompts; ++i) job.rids.push_back(base.empty() ? FreshRid() : fmt::format("{}_{}", base, i));
  }
  for (std::string& rid : job.rids) {
    if (rid.empty()) rid = FreshRid();
    if (rid.size() > 256) FailUsage({.where = "rid", .what = "is too long", .wanted = "at most 256 bytes"});
  }
}

}  // namespace

FieldTable Fields(GenerateRequest& r) {
  const auto refused = [](const char* why) { return Refused{why}; };
  return {
      {"text",
       &r.text,
       "prompt, or a list of them; special tokens may be spelled in it",
       {.shapes = {Shape::kText, Shape::kTexts}}},
      {"input_ids",
       &r.input_ids,
       "prompt as ids, or a list of them",
       {.shapes = {Shape::kIntegers, Shape::kIntegerLists}}},
      {"input_embeds", &r.input_embeds, "prompt as embedding rows [T][d], or [B][T][d]", {.depths = {2, 3}}},
      {"input_embeds_b64_bf16", &r.input_embeds_b64_bf16,
       "the same as little-endian bf16 in base64, with input_embeds_shape; not exact for large norms"},
      {"input_embeds_bytes", &r.input_embeds_bytes,
       "the same as little-endian fp32 in base64, with input_embeds_shape"},
      {"input_embeds_shape",
       &r.input_embeds_shape,
       "[T, d] or [B, T, d] of a binary transport",
       {.low = 1, .high = 1 << 30}},
      {"sampling_params",
       &r.sampling_params,
       "how replies are drawn: one for all prompts, or a list with one for each",
       {.shapes = {Shape::kObject, Shape::kObjects}}},
      {"rid",
       &r.rid,
       "name of the request, for /abort_request; or a list with one for each prompt",
       {.shapes = {Shape::kText, Shape::kTexts}}},
      {"stream", &r.stream, "answer with server-sent events"},
      {"return_logprob", &r.return_logprob, "add output_token_logprobs"},
      {"logprob_start_len",
       &r.logprob_start_len,
       "with return_logprob and a prompt of text or ids: add input_token_logprobs from this token on; -1: none",
       {.low = -1, .high = 1 << 30}},
      {"top_logprobs_num",
       &r.top_logprobs_num,
       "most probable tokens beside each token that has a logprob",
       {.low = 0, .high = static_cast<double>(kMostTopLogprobs)}},
      {"return_text_in_logprobs", &r.return_text_in_logprobs, "spell the tokens of logprobs"},
      {"return_hidden_states", refused("Use /v1/nla/extract"), "hidden states"},
      {"token_ids_logprob", refused("Use top_logprobs_num"), "logprobs of chosen tokens"},
      {"image_data", refused("This model reads text"), "images"},
      {"audio_data", refused("This model reads text"), "audio"},
      {"video_data", refused("This model reads text"), "video"},
      {"modalities", refused("This model reads text"), "kinds of data"},
      {"lora_path", refused("The adapters are those of --av"), "adapters"},
      {"session_params", refused("Prompts that begin alike share their beginning anyway"), "session"},
      {"custom_logit_processor", refused("There are none"), "processor"},
      {"log_metrics", refused("See /metrics"), "metrics"},
      {"background", refused("Ask from a thread of your own"), "answer later"},
      {"return_routed_experts", refused("There are no experts"), "experts"},
      {"priority", refused("Requests are answered in their order"), "priority"},
  };
}

GenerateJob ReadGenerate(std::string_view text, const ServedModel& model) {
  GenerateJob job;
  const FieldTable table = Fields(job.request);
  RequestBody body = ParseFor(table, text);
  const std::set<std::string> given = ReadBody(table, body);
  ReadPrompts(given, model, job);
  if (job.prompts.empty()) FailUsage({.where = "body", .what = "the list of prompts is empty"});
  CheckStart(job);
  ReadAllSampling(job);
  ReadRids(job);
  return job;
}

Prompt PromptOfIds(const ServedModel& model, std::vector<TokenId> ids, const std::string& where) {
  if (ids.empty()) FailUsage({.where = where, .what = "is empty", .wanted = "at least one token"});
  const int64_t vocabulary = model.decoder->spec().vocab_size;
  for (const TokenId id : ids) {
    if (id >= 0 && id < vocabulary) continue;
    FailUsage({.where = where,
               .what = "holds an id that the model does not know",
               .found = id < 0 ? "" : std::to_string(id),
               .wanted = fmt::format("0 to {}", vocabulary - 1)});
  }
  const auto count = static_cast<int64_t>(ids.size());
  if (count > model.engine->max_tokens()) {
    FailUsage({.where = where,
               .what = "is too long for the model",
               .found = fmt::format("{} tokens", count),
               .wanted = fmt::format("at most {}", model.engine->max_tokens())});
  }
  at::Tensor rows_TD = model.Embed(ids);
  return {std::move(rows_TD), std::move(ids)};
}

Prompt PromptOfText(const ServedModel& model, std::string_view text, const std::string& where) {
  return PromptOfIds(model, model.tokenizer->Encode(text, {.add_special = true, .parse_special = true}), where);
}

std::vector<TokenId> TokenIds(const Json& list) {
  std::vector<TokenId> ids;
  for (const Json& one : list) {
    const bool fits = one >= 0 && one <= std::numeric_limits<TokenId>::max();
    ids.push_back(fits ? one.get<TokenId>() : -1);
  }
  return ids;
}

std::string FreshRid() {
  static std::mutex mutex;
  static std::mt19937_64 random = [] {
    std::random_device device;
    std::array<uint32_t, 8> words;
    for (uint32_t& word : words) word = device();
    std::seed_seq seed(words.begin(), words.end());
    return std::mt19937_64(seed);
  }();
  const std::lock_guard lock(mutex);
  const uint64_t high = random();
  return fmt::format("{:016x}{:016x}", high, random());
}

}  // namespace nla::serve
