// One function an answer; what several answers hold comes first.
#include "serve/answer_schemas.h"

#include "serve/request_fields.h"

namespace nla::serve {
namespace {

OrderedJson Type(const char* type) { return {{"type", type}}; }
OrderedJson Text() { return Type("string"); }
OrderedJson Flag() { return Type("boolean"); }
OrderedJson Number() { return Type("number"); }
OrderedJson Count() { return {{"type", "integer"}, {"minimum", 0}}; }
OrderedJson Integer() { return Type("integer"); }
OrderedJson List(const OrderedJson& items) { return {{"type", "array"}, {"items", items}}; }
OrderedJson OneWord(const char* word) { return {{"const", word}}; }

// [logprob, id, text or null]; a logprob that is no finite number is null. prefixItems would say which is which, but
// tools that turn the document into an older dialect make of it what no dialect knows.
OrderedJson LogprobTuple() {
  OrderedJson schema = List(OrNull(AnyOf({Number(), Text()})));
  schema["minItems"] = 3;
  schema["maxItems"] = 3;
  return schema;
}

OrderedJson FinishSchema() {
  return OrNull(ObjectSchema({{"type", {{"enum", {"stop", "length", "abort"}}}},
                              {"matched", AnyOf({Count(), Text()}), "the stop token or string", false},
                              {"length", Count(), "tokens of the reply", false},
                              {"message", Text(), "why it was aborted", false}}));
}

OrderedJson ProvenanceSchema() {
  const OrderedJson hash = OrNull(Text());
  return ObjectSchema({{"model", Text(), "the base model's name"},
                       {"base_weights_hash", hash},
                       {"layer", OrNull(Count()), "K"},
                       {"av", ObjectSchema({{"model", Text()}, {"weights_hash", hash}, {"weight_version", Text()}})},
                       {"ar", OrNull(ObjectSchema({{"weights_hash", hash}}))},
                       {"prompt_hash", Text(), "of the verbalizer's prompt"},
                       {"seed", Count(), "repeats the answer as sampling_seed", false},
                       {"sampler", Type("object"), "", false}});
}

std::vector<AnswerField> ScoreFields(bool always) {
  const char* const against = "where the pair keeps the baselines";
  return {{"cosine", OrNull(Number()), "", always},
          {"mse", OrNull(Number()), "", always},
          {"fve_raw_variance", OrNull(Number()), against, false},
          {"fve_mean_norm", OrNull(Number()), against, false}};
}

std::vector<AnswerField> TokenFields() {
  return {{"position", Count(), "0-based"}, {"id", Count()}, {"token", Text()}};
}

std::vector<AnswerField> ReplyFields() {
  return {{"sample", Count()},
          {"explanation", OrNull(Text()), "null: the reply has not both tags"},
          {"raw", Text(), "the whole reply"},
          {"ok", Flag(), "whether there is an explanation"},
          {"finish_reason", FinishSchema()},
          {"completion_tokens", Count()},
          {"logprob", OrNull(Number()), "sum over the reply's tokens; null: no finite number"},
          {"norm", Number(), "of the activation"}};
}

void Append(const std::vector<AnswerField>& more, std::vector<AnswerField>& fields) {
  fields.insert(fields.end(), more.begin(), more.end());
}

OrderedJson VectorsSchema() {
  return AnyOf({List(List(Number())), ObjectSchema({{"data", Text(), "little-endian numbers in base64"},
                                                    {"dtype", OneWord("fp32")},
                                                    {"shape", List(Count())}})});
}

// OpenAI's frame around choices.
OrderedJson Completions(const char* kind, const AnswerField& reply) {
  const OrderedJson choice = ObjectSchema({{"index", Count()},
                                           reply,
                                           {"logprobs", OrNull(Type("object"))},
                                           {"finish_reason", {{"enum", {"stop", "length", "abort", nullptr}}}}});
  const OrderedJson usage =
      ObjectSchema({{"prompt_tokens", Count()}, {"completion_tokens", Count()}, {"total_tokens", Count()}});
  return ObjectSchema({{"id", Text()},
                       {"object", OneWord(kind)},
                       {"created", Count()},
                       {"model", Text()},
                       {"choices", List(choice)},
                       {"usage", usage}});
}

OrderedJson StatusSchema() { return ObjectSchema({{"status", OneWord("ok")}, {"message", Text()}}); }

}  // namespace

OrderedJson ObjectSchema(const std::vector<AnswerField>& fields) {
  OrderedJson properties = OrderedJson::object();
  OrderedJson required = OrderedJson::array();
  for (const AnswerField& field : fields) {
    OrderedJson schema = field.schema;
    if (!field.help.empty()) schema["description"] = field.help;
    properties[field.name] = std::move(schema);
    if (field.always) required.push_back(field.name);
  }
  OrderedJson schema = Type("object");
  schema["properties"] = std::move(properties);
  if (!required.empty()) schema["required"] = std::move(required);
  return schema;
}

OrderedJson GenerateSchema() {
  const char* const asked = "with return_logprob";
  const OrderedJson meta =
      ObjectSchema({{"id", Text(), "the request's rid"},
                    {"finish_reason", FinishSchema(), "null while it is being written"},
                    {"prompt_tokens", Count()},
                    {"completion_tokens", Count()},
                    {"cached_tokens", Count()},
                    {"weight_version", Text()},
                    {"e2e_latency", Number(), "seconds", false},
                    {"input_token_logprobs", List(LogprobTuple()), "with logprob_start_len", false},
                    {"input_top_logprobs", List(OrNull(List(LogprobTuple()))), "with both", false},
                    {"output_token_logprobs", List(LogprobTuple()), asked, false},
                    {"output_token_logprobs_length", Count(), asked, false},
                    {"output_top_logprobs", List(List(LogprobTuple())), "with top_logprobs_num", false}});
  const OrderedJson reply = ObjectSchema({{"text", Text()}, {"output_ids", List(Count())}, {"meta_info", meta}});
  return AnyOf({reply, List(reply)});
}

OrderedJson ExplainSchema() {
  std::vector<AnswerField> fields = TokenFields();
  Append(ReplyFields(), fields);
  Append(ScoreFields(/*always=*/true), fields);
  return ObjectSchema({{"tokens", List(ObjectSchema(fields))}, {"provenance", ProvenanceSchema()}});
}

OrderedJson VerbalizeSchema() {
  std::vector<AnswerField> fields = {{"index", Count(), "of the activation"}};
  Append(ReplyFields(), fields);
  return ObjectSchema({{"rows", List(ObjectSchema(fields))}, {"provenance", ProvenanceSchema()}});
}

OrderedJson ReconstructSchema() {
  return ObjectSchema(
      {{"n", Count()}, {"d", Count()}, {"vectors", VectorsSchema()}, {"provenance", ProvenanceSchema()}});
}

OrderedJson ScoreSchema() {
  std::vector<AnswerField> fields = ScoreFields(/*always=*/true);
  fields.push_back({"index", Count()});
  return ObjectSchema({{"n", Count()},
                       {"mse", OrNull(Number()), "mean of the rows"},
                       {"cosine_mean", OrNull(Number())},
                       {"rows", List(ObjectSchema(fields))},
                       {"provenance", ProvenanceSchema()}});
}

OrderedJson CompareSchema() {
  return ObjectSchema({{"cosine", OrNull(Number())}, {"mse", OrNull(Number())}, {"provenance", ProvenanceSchema()}});
}

OrderedJson ExtractSchema() {
  std::vector<AnswerField> fields = TokenFields();
  fields.push_back({"norm", Number()});
  return ObjectSchema({{"layer", Count(), "K"},
                       {"d", Count()},
                       {"tokens", List(ObjectSchema(fields))},
                       {"activations", VectorsSchema()},
                       {"provenance", ProvenanceSchema()}});
}

OrderedJson TokenizeSchema() {
  return ObjectSchema({{"model", Text()},
                       {"n", Count()},
                       {"ids", List(Count())},
                       {"tokens", List(Text())},
                       {"offsets", List(List(Count())), "begin and end of each in the text, in bytes"}});
}

OrderedJson CompletionSchema() { return Completions("text_completion", {"text", Text()}); }

OrderedJson ChatCompletionSchema() {
  return Completions("chat.completion",
                     {"message", ObjectSchema({{"role", OneWord("assistant")}, {"content", Text()}})});
}

OrderedJson ModelInfoSchema() {
  return ObjectSchema({{"model_path", Text()},
                       {"tokenizer_path", Text()},
                       {"is_generation", Flag()},
                       {"weight_version", Text()},
                       {"model_type", Text()},
                       {"architectures", List(Text())}});
}

OrderedJson ServerInfoSchema() {
  const OrderedJson engine = ObjectSchema({{"model", Text()},
                                           {"kind", {{"enum", {"verbalizer", "base"}}}},
                                           {"running", Count()},
                                           {"waiting", Count()},
                                           {"kv_tokens_used", Count()},
                                           {"kv_tokens_total", Count()}});
  return ObjectSchema({{"version", Text()},
                       {"model_path", Text()},
                       {"served_model_name", Text()},
                       {"weight_version", Text()},
                       {"weights_hash", Text(), "where it is known", false},
                       {"d_model", Count()},
                       {"max_total_tokens", Count(), "of a prompt with its reply"},
                       {"input_embeds_formats", List(Text()), "fields that /generate takes embeddings in"},
                       {"status", {{"enum", {"ready", "paused"}}}},
                       {"engines", List(engine)}});
}

OrderedJson ModelListSchema() {
  const OrderedJson model = ObjectSchema({{"id", Text()},
                                          {"object", OneWord("model")},
                                          {"created", Count()},
                                          {"owned_by", Text()},
                                          {"root", Text()},
                                          {"max_model_len", Count()}});
  return ObjectSchema({{"object", OneWord("list")}, {"data", List(model)}});
}

OrderedJson WeightUpdateSchema() {
  return ObjectSchema({{"success", Flag()}, {"message", Text()}, {"num_paused_requests", Count()}});
}

OrderedJson PauseSchema() {
  OrderedJson schema = StatusSchema();
  schema["properties"]["num_paused_requests"] = Count();
  schema["required"].push_back("num_paused_requests");
  return schema;
}

OrderedJson ContinueSchema() { return StatusSchema(); }

OrderedJson AbortSchema() { return ObjectSchema({{"success", Flag(), "whether it was still running"}}); }

OrderedJson ErrorSchema() {
  const OrderedJson inner = ObjectSchema({{"message", Text()},
                                          {"type", Text(), "on OpenAI's routes", false},
                                          {"param", OrNull(Text()), "the same", false},
                                          {"code", Integer(), "the same", false}});
  return AnyOf({ObjectSchema({{"error", inner}}), ObjectSchema({{"object", OneWord("error")},
                                                                {"message", Text()},
                                                                {"type", Text()},
                                                                {"param", Type("null")},
                                                                {"code", Integer()}})});
}

}  // namespace nla::serve
