// One number or string as a conversion of "%…" or a format specification writes it.
#pragma once

#include "text/jinja/context.h"

namespace nla::jinja {

struct FormatSpec {
  char32_t fill = ' ';
  char align = 0;   // '<', '>', '^', '=' (behind the sign), or 0 for the type's own
  char sign = '-';  // '+', '-', ' '
  bool alternate = false;
  bool grouped = false;  // thousands by commas
  int64_t width = 0;
  int64_t precision = -1;  // none
  char type = 0;           // of the specification, or 0
};

// `text` cut to the precision and padded.
Text FormatText(Context& context, const Text& text, const FormatSpec& spec);
// Types d, x, X, o, b, e, E, f, F, g, G and %; another is an error.
Text FormatNumber(Context& context, const Value& number, const FormatSpec& spec);

}  // namespace nla::jinja
