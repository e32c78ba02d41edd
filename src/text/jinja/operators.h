// Python's operators on values. What Python refuses with a TypeError is an error here.
#pragma once

#include "text/jinja/ast.h"
#include "text/jinja/context.h"

namespace nla::jinja {

// Fails with the reason when the value is undefined.
void CheckDefined(const Context& context, const Value& value);

// op: kAdd … kPower.
Value Arithmetic(Context& context, Op op, const Value& left, const Value& right);
Value Negative(Context& context, const Value& value);

bool Equal(Context& context, const Value& left, const Value& right);
// Python's "<".
bool Less(Context& context, const Value& left, const Value& right);
bool Contains(Context& context, const Value& container, const Value& item);
bool Compare(Context& context, CompareOp op, const Value& left, const Value& right);

// What a for loop goes over. An iterator is spent by it.
Values ItemsOf(Context& context, const Value& value);
int64_t LengthOf(Context& context, const Value& value);

// object.name, object[key] and object[start:stop:step]; undefined where there is none.
Value GetAttribute(Context& context, const Value& object, const Text& name);
Value GetItem(Context& context, const Value& object, const Value& key);
Value GetSlice(Context& context, const Value& object, const Value* start, const Value* stop, const Value* step);
// Null when the dictionary lacks the key, or the key cannot be one.
const Value* FindKey(Context& context, const Dict& dict, const Value& key);

// Fails for names that transformers keeps from namespaces.
void CheckFieldName(const Context& context, std::string_view name);

// str(value) and repr(value). What is no string already is marked as a message's.
Text ToText(Context& context, const Value& value);
Text Repr(Context& context, const Value& value);
std::string FloatRepr(double value);

}  // namespace nla::jinja
