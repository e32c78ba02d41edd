// What an operation that must fail says.
#pragma once

#include <string>

#include "nla/error.h"

namespace nla {

// The message of the nla::Error that `work` throws, or "accepted".
template <typename Work>
std::string Refusal(const Work& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace nla
