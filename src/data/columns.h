// Typed access to single values of Arrow columns, whatever of the accepted types the file uses. Internal to this
// folder.
#pragma once

#include <arrow/array.h>
#include <arrow/type.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat.h"

namespace nla {

// int64 or int32.
bool IsIntegerColumn(const arrow::DataType& type);
int64_t IntegerAt(const arrow::Array& column, int64_t row);

// string or large_string. A null reads as empty.
bool IsTextColumn(const arrow::DataType& type);
std::string_view TextAt(const arrow::Array& column, int64_t row);

// fixed_size_list, list or large_list of float16, float32 or float64.
bool IsVectorColumn(const arrow::DataType& type);
// The width of the vector at `row`; -1 for a null row.
int64_t VectorWidthAt(const arrow::Array& column, int64_t row);
// The values as fp32. `where` names the row in errors: a null row, a null or non-finite value, a width other
// than out.size(), zeros alone.
void ReadVectorAt(const arrow::Array& column, int64_t row, std::span<float> out, const std::string& where);

// list or large_list of struct with text fields `role` and `content`.
bool IsMessagesColumn(const arrow::DataType& type);
std::vector<ChatMessage> MessagesAt(const arrow::Array& column, int64_t row);

}  // namespace nla
