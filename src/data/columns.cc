#include "data/columns.h"

#include <arrow/util/float16.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/fail.h"
#include "data/activation_source.h"

namespace nla {
namespace {

// The child array of a list-like column and the half-open range of one row in it.
struct ListSlice {
  const arrow::Array* values;
  int64_t begin;
  int64_t end;
};

ListSlice SliceAt(const arrow::Array& column, int64_t row) {
  switch (column.type_id()) {
    case arrow::Type::FIXED_SIZE_LIST: {
      const auto& list = static_cast<const arrow::FixedSizeListArray&>(column);
      return {list.values().get(), list.value_offset(row), list.value_offset(row) + list.value_length()};
    }
    case arrow::Type::LARGE_LIST: {
      const auto& list = static_cast<const arrow::LargeListArray&>(column);
      return {list.values().get(), list.value_offset(row), list.value_offset(row + 1)};
    }
    default: {
      const auto& list = static_cast<const arrow::ListArray&>(column);
      return {list.values().get(), list.value_offset(row), list.value_offset(row + 1)};
    }
  }
}

bool IsListType(arrow::Type::type id) {
  return id == arrow::Type::FIXED_SIZE_LIST || id == arrow::Type::LIST || id == arrow::Type::LARGE_LIST;
}

void CopyAsFloat(const ListSlice& slice, std::span<float> out) {
  switch (slice.values->type_id()) {
    case arrow::Type::FLOAT: {
      const float* from = static_cast<const arrow::FloatArray*>(slice.values)->raw_values() + slice.begin;
      std::copy(from, from + out.size(), out.begin());
      return;
    }
    case arrow::Type::DOUBLE: {
      const double* from = static_cast<const arrow::DoubleArray*>(slice.values)->raw_values() + slice.begin;
      for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(from[i]);
      return;
    }
    default: {
      const uint16_t* from = static_cast<const arrow::HalfFloatArray*>(slice.values)->raw_values() + slice.begin;
      for (size_t i = 0; i < out.size(); ++i) out[i] = arrow::util::Float16::FromBits(from[i]).ToFloat();
      return;
    }
  }
}

}  // namespace

bool IsIntegerColumn(const arrow::DataType& type) {
  return type.id() == arrow::Type::INT64 || type.id() == arrow::Type::INT32;
}

int64_t IntegerAt(const arrow::Array& column, int64_t row) {
  if (column.type_id() == arrow::Type::INT32) return static_cast<const arrow::Int32Array&>(column).Value(row);
  return static_cast<const arrow::Int64Array&>(column).Value(row);
}

bool IsTextColumn(const arrow::DataType& type) {
  return type.id() == arrow::Type::STRING || type.id() == arrow::Type::LARGE_STRING;
}

std::string_view TextAt(const arrow::Array& column, int64_t row) {
  if (column.IsNull(row)) return {};
  if (column.type_id() == arrow::Type::LARGE_STRING) {
    return static_cast<const arrow::LargeStringArray&>(column).GetView(row);
  }
  return static_cast<const arrow::StringArray&>(column).GetView(row);
}

bool IsVectorColumn(const arrow::DataType& type) {
  if (!IsListType(type.id())) return false;
  const auto value = type.field(0)->type()->id();
  return value == arrow::Type::FLOAT || value == arrow::Type::DOUBLE || value == arrow::Type::HALF_FLOAT;
}

int64_t VectorWidthAt(const arrow::Array& column, int64_t row) {
  if (column.IsNull(row)) return -1;
  const ListSlice slice = SliceAt(column, row);
  return slice.end - slice.begin;
}

void ReadVectorAt(const arrow::Array& column, int64_t row, std::span<float> out, const std::string& where) {
  if (column.IsNull(row)) Fail({.where = where, .what = "the vector is null"});
  const ListSlice slice = SliceAt(column, row);
  if (slice.end - slice.begin != static_cast<int64_t>(out.size())) {
    Fail({.where = where,
          .what = "vector width differs from the file's",
          .found = std::to_string(slice.end - slice.begin),
          .wanted = std::to_string(out.size())});
  }
  if (slice.begin < 0 || slice.end > slice.values->length())
    Fail({.where = where, .what = "the vector lies outside the column's data"});
  if (slice.values->null_count() > 0) {
    for (int64_t i = slice.begin; i < slice.end; ++i) {
      if (slice.values->IsNull(i))
        Fail({.where = where, .what = fmt::format("value {} of the vector is null", i - slice.begin)});
    }
  }
  CopyAsFloat(slice, out);
  CheckVector(out, where);
}

bool IsMessagesColumn(const arrow::DataType& type) {
  if (type.id() != arrow::Type::LIST && type.id() != arrow::Type::LARGE_LIST) return false;
  const auto& message = *type.field(0)->type();
  if (message.id() != arrow::Type::STRUCT) return false;
  for (const char* name : {"role", "content"}) {
    const auto field = static_cast<const arrow::StructType&>(message).GetFieldByName(name);
    if (field == nullptr || !IsTextColumn(*field->type())) return false;
  }
  return true;
}

std::vector<ChatMessage> MessagesAt(const arrow::Array& column, int64_t row) {
  std::vector<ChatMessage> messages;
  if (column.IsNull(row)) return messages;
  const ListSlice slice = SliceAt(column, row);
  const auto& structs = static_cast<const arrow::StructArray&>(*slice.values);
  // Flattened children: GetFieldByName applies the struct's own offset.
  const auto roles = structs.GetFieldByName("role");
  const auto contents = structs.GetFieldByName("content");
  for (int64_t i = slice.begin; i < slice.end; ++i) {
    messages.push_back({std::string(TextAt(*roles, i)), std::string(TextAt(*contents, i))});
  }
  return messages;
}

}  // namespace nla
