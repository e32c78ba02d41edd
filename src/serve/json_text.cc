// JSON values as text.
#include "serve/json_text.h"

namespace nla::serve {

std::string JsonText(const OrderedJson& value) {
  return value.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

std::string SseFrame(std::string_view data) {
  // A line break would end the field early; JSON of JsonText has none.
  std::string frame = "data: ";
  frame += data;
  frame += "\n\n";
  return frame;
}

}  // namespace nla::serve
