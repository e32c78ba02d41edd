// Only strings are looked for, and both are short: a long one would let a small file ask for any amount of memory.
#include "text/replacement.h"

#include <fmt/format.h>

namespace nla {
namespace {

constexpr size_t kMaxBytes = 16;

void CheckLength(const JsonView& field) {
  if (field.String().size() <= kMaxBytes) return;
  field.Fail("too long", fmt::format("{} bytes", field.String().size()), fmt::format("at most {}", kMaxBytes));
}

}  // namespace

Replacement ReadReplacement(const JsonView& section) {
  const JsonView pattern = section.At("pattern");
  const std::optional<JsonView> from = pattern.Find("String");
  if (!from) pattern.Unsupported("{\"String\": ...}");
  if (from->String().empty()) from->Fail("empty pattern", "\"\"", "a string to look for");
  const JsonView to = section.At("content");
  CheckLength(*from);
  CheckLength(to);
  return {from->String(), to.String()};
}

}  // namespace nla
