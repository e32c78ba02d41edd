// "a.b.0" as filters take it to reach into items.
#pragma once

#include <vector>

#include "text/jinja/context.h"

namespace nla::jinja {

class AttributePath {
 public:
  // Null or none: the item itself. `fallback` stands for what is undefined, where given.
  AttributePath(Context& context, const Value* attribute, const Value* fallback = nullptr);
  Value Of(const Value& item) const;

 private:
  Context& context_;
  const Value* fallback_;
  Values keys_;
};

// What items are compared by: strings without regard to case unless `case_sensitive`.
Value SortKey(Context& context, const Value& value, bool case_sensitive);

}  // namespace nla::jinja
