// What /generate says: SGLang's meta_info, whole or as a stream.
#pragma once

#include "serve/generate_request.h"
#include "serve/replies.h"

namespace nla::serve {

// {"type":"stop","matched":…}, {"type":"length","length":N}, {"type":"abort",…}; null while the reply is written.
OrderedJson FinishJson(const Reply& reply);

// One object of the answer for reply i of a job: replies of a prompt are consecutive.
OrderedJson GenerateAnswer(const GenerateJob& job, const ServedModel& model, size_t i, const Reply& reply);

}  // namespace nla::serve
