// The readers that meet files of strangers, each as a function of bytes that may throw nla::Error and nothing else.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nla {

struct FuzzTarget {
  const char* name;
  void (*run)(std::string_view input);
  std::vector<std::string_view> dictionary;  // tokens of the format
};

std::span<const FuzzTarget> FuzzTargets();
// nullptr for a name that is not one.
const FuzzTarget* FindFuzzTarget(std::string_view name);

// What happened to an input.
enum class FuzzVerdict { kAccepted, kRefused };
// Runs the target; anything that it throws beside nla::Error goes through.
FuzzVerdict RunFuzzTarget(const FuzzTarget& target, std::string_view input);

}  // namespace nla
