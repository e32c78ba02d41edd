// Construction of values, truth, and names of types.
#include "text/jinja/value.h"

#include <algorithm>

namespace nla::jinja {
namespace {

int DeepestOf(const Values& values) {
  int depth = 0;
  for (const Value& value : values) depth = std::max(depth, value.Depth());
  return depth;
}

std::string_view SequenceName(const Sequence& sequence) {
  switch (sequence.form) {
    case Sequence::Form::kList:
      return "list";
    case Sequence::Form::kTuple:
      return "tuple";
    case Sequence::Form::kRange:
      return "range";
    case Sequence::Form::kView:
      return sequence.view;
    case Sequence::Form::kIterator:
      return "generator";
  }
  return "";
}

}  // namespace

Value Value::Undefined(std::string why) {
  Value made;
  made.data_ = std::make_shared<const std::string>(std::move(why));
  return made;
}

Value Value::None() {
  Value made;
  made.data_ = NoneTag{};
  return made;
}

Value Value::Bool(bool value) {
  Value made;
  made.data_ = value;
  return made;
}

Value Value::Int(int64_t value) {
  Value made;
  made.data_ = value;
  return made;
}

Value Value::Float(double value) {
  Value made;
  made.data_ = value;
  return made;
}

Value Value::String(Text text) {
  Value made;
  made.data_ = std::make_shared<const Text>(std::move(text));
  return made;
}

Value Value::Of(std::shared_ptr<const Sequence> sequence) {
  Value made;
  made.data_ = std::move(sequence);
  return made;
}

Value Value::Of(std::shared_ptr<const Dict> dict) {
  Value made;
  made.data_ = std::move(dict);
  return made;
}

Value Value::Of(Namespace* space) {
  Value made;
  made.data_ = space;
  return made;
}

Value Value::Of(std::shared_ptr<const LoopState> loop) {
  Value made;
  made.data_ = std::move(loop);
  return made;
}

Value Value::Of(std::shared_ptr<const Callable> callable) {
  Value made;
  made.data_ = std::move(callable);
  return made;
}

const std::string& Value::why_undefined() const {
  static const std::string plain = "the value is undefined";
  const WhyPtr& why = std::get<WhyPtr>(data_);
  return why == nullptr ? plain : *why;
}

bool Value::Truth() const {
  switch (kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
      return boolean();
    case Kind::kInt:
      return integer() != 0;
    case Kind::kFloat:
      return real() != 0;
    case Kind::kString:
      return !text().empty();
    case Kind::kSequence:
      return sequence().form == Sequence::Form::kIterator || !sequence().items.empty();
    case Kind::kDict:
      return !dict().entries.empty();
    case Kind::kNamespace:
    case Kind::kLoop:
    case Kind::kCallable:
      return true;
  }
  return false;
}

std::string_view Value::TypeName() const {
  switch (kind()) {
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return "str";
    case Kind::kSequence:
      return SequenceName(sequence());
    case Kind::kDict:
      return "dict";
    case Kind::kNamespace:
      return "Namespace";
    case Kind::kLoop:
      return "LoopContext";
    case Kind::kCallable:
      return callable().form == Callable::Form::kMacro ? "Macro" : "function";
  }
  return "";
}

int Value::Depth() const {
  switch (kind()) {
    case Kind::kSequence:
      return sequence().depth;
    case Kind::kDict:
      return dict().depth;
    case Kind::kLoop:
      return 1 + loop().item_depth;
    case Kind::kCallable:
      return 1 + callable().self.Depth();
    default:
      return 0;
  }
}

Sequence::Sequence(Form form, Values items) : form(form), items(std::move(items)), depth(1 + DeepestOf(this->items)) {}

Dict::Dict(std::vector<DictEntry> entries) : entries(std::move(entries)), depth(1) {
  for (const DictEntry& entry : this->entries) {
    depth = std::max({depth, 1 + entry.key.Depth(), 1 + entry.value.Depth()});
  }
}

const Value* Dict::Find(const Text& key) const {
  for (const DictEntry& entry : entries) {
    if (entry.key.Is(Kind::kString) && entry.key.text() == key) return &entry.value;
  }
  return nullptr;
}

Value List(Values items) {
  return Value::Of(std::make_shared<const Sequence>(Sequence::Form::kList, std::move(items)));
}

Value Tuple(Values items) {
  return Value::Of(std::make_shared<const Sequence>(Sequence::Form::kTuple, std::move(items)));
}

Value Iterator(Values items) {
  return Value::Of(std::make_shared<const Sequence>(Sequence::Form::kIterator, std::move(items)));
}

bool IsHashable(const Value& value) {
  switch (value.kind()) {
    case Kind::kDict:
      return false;
    case Kind::kSequence:
      return value.sequence().form == Sequence::Form::kRange ||
             (value.sequence().form == Sequence::Form::kTuple &&
              std::all_of(value.sequence().items.begin(), value.sequence().items.end(), IsHashable));
    default:
      return true;
  }
}

}  // namespace nla::jinja
