// One coverage-guided fuzzer for all targets: NLA_FUZZ_TARGET names the one to run. Built by clang with
// -fsanitize=fuzzer.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "fuzz/targets_testing.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const nla::FuzzTarget* const target = [] {
    const char* name = std::getenv("NLA_FUZZ_TARGET");
    const nla::FuzzTarget* found = nla::FindFuzzTarget(name == nullptr ? "" : name);
    if (found == nullptr) {
      std::fprintf(stderr, "NLA_FUZZ_TARGET names no target\n");
      std::exit(2);
    }
    return found;
  }();
  nla::RunFuzzTarget(*target, {reinterpret_cast<const char*>(data), size});
  return 0;
}
