// Jinja's make_attrgetter.
#include "text/jinja/attribute_path.h"

#include "text/jinja/operators.h"

namespace nla::jinja {

AttributePath::AttributePath(Context& context, const Value* attribute, const Value* fallback)
    : context_(context), fallback_(fallback != nullptr && !fallback->Is(Kind::kNone) ? fallback : nullptr) {
  if (attribute == nullptr || attribute->Is(Kind::kNone)) return;
  if (!attribute->Is(Kind::kString)) {
    keys_.push_back(*attribute);
    return;
  }
  const Text dot(".", Origin::kTemplate);
  for (Text& part : SplitText(attribute->text(), &dot, -1, false)) {
    bool digits = !part.empty() && part.size() < 18;
    for (size_t i = 0; i < part.size(); ++i) digits = digits && part[i] >= '0' && part[i] <= '9';
    keys_.push_back(digits ? Value::Int(std::stoll(part.Utf8())) : Value::String(std::move(part)));
  }
}

Value AttributePath::Of(const Value& item) const {
  Value found = item;
  for (const Value& key : keys_) {
    found = GetItem(context_, found, key);
    if (fallback_ != nullptr && found.Is(Kind::kUndefined)) found = *fallback_;
  }
  return found;
}

Value SortKey(Context& context, const Value& value, bool case_sensitive) {
  if (case_sensitive || !value.Is(Kind::kString)) return value;
  return context.String(LowerText(value.text()));
}

}  // namespace nla::jinja
