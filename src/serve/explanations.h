// Explanations on their way through the verbalizer's engine, scored and told with their provenance, whole or as a
// stream.
#pragma once

#include <span>

#include "serve/nla_requests.h"
#include "serve/routes.h"

namespace nla::serve {

// Activations with the way in which they are to be explained.
struct VerbalizeJob {
  ActivationRows rows;
  SamplingParams sampling;
  bool stream = false;
};

// {"rows": […], "provenance": …}; row i's samples are consecutive.
HttpResponse RunVerbalize(Context& context, Call& call, VerbalizeJob job);
// {"tokens": […], "provenance": …}: the same with each explanation's score against its activation.
HttpResponse RunExplain(Context& context, Call& call, TextAndPositions where, VerbalizeJob job);

// What an answer came from: models and hashes, layer, prompt.
OrderedJson Provenance(const Models& models);
// cosine and mse, and FVE where the pair has baselines.
OrderedJson Scores(const Models& models, std::span<const float> predicted, std::span<const float> gold);
// {"position", "id", "token"}
OrderedJson TokenJson(const ServedModel& base, const TextAndPositions& where, size_t i);
double Norm(std::span<const float> vector);

}  // namespace nla::serve
