// JSON schemas of what routes answer, for /openapi.json; tests hold the answers against them. What bodies may hold is
// said by their own tables (request_fields.h).
#pragma once

#include <string>
#include <vector>

#include "serve/json_text.h"

namespace nla::serve {

struct AnswerField {
  std::string name;
  OrderedJson schema;
  std::string help = {};
  bool always = true;  // in every answer
};
// An object with these fields; others may come beside them.
OrderedJson ObjectSchema(const std::vector<AnswerField>& fields);

OrderedJson GenerateSchema();
OrderedJson ExplainSchema();
OrderedJson VerbalizeSchema();
OrderedJson ReconstructSchema();
OrderedJson ScoreSchema();
OrderedJson CompareSchema();
OrderedJson ExtractSchema();
OrderedJson TokenizeSchema();
OrderedJson CompletionSchema();
OrderedJson ChatCompletionSchema();
OrderedJson ModelInfoSchema();
OrderedJson ServerInfoSchema();
OrderedJson ModelListSchema();
OrderedJson WeightUpdateSchema();
OrderedJson PauseSchema();
OrderedJson ContinueSchema();
OrderedJson AbortSchema();
// Of answers that say what is wrong, in any of their shapes.
OrderedJson ErrorSchema();

}  // namespace nla::serve
