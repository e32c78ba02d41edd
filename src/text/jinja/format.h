// Python's two ways to fill in strings: "%s" % values and "{}".format(values). What the template wrote stays the
// template's; what is filled in keeps its own marks.
#pragma once

#include "text/jinja/builtins.h"

namespace nla::jinja {

// %s %r %d %i %u %x %X %o %f %e %g %%, with flags, width and precision, by position or %(name).
Value FormatPercent(Context& context, const Text& format, const Value& values);
// {} {0} {name}, with !s or !r and the attributes or items of what they name; format specifications for strings,
// integers and %f.
Value FormatBraces(Context& context, const Text& format, const CallArgs& args);

// str.replace within the limits of strings; at most `limit` replacements unless negative.
Value ReplaceChecked(Context& context, const Text& text, const Text& from, const Text& to, int64_t limit);

}  // namespace nla::jinja
