// Names of checkpoint directories, in and outside of the hub's cache.
#include "weights/model_name.h"

#include <gtest/gtest.h>

namespace nla {
namespace {

TEST(ModelName, IsTheDirectorysOrTheRepositorys) {
  EXPECT_EQ(ModelName("models/smollm2"), "smollm2");
  EXPECT_EQ(ModelName("models/smollm2/"), "smollm2");
  EXPECT_EQ(ModelName("models/../smollm2"), "smollm2");
  EXPECT_EQ(ModelName(""), "");
  EXPECT_EQ(ModelName("/c/hub/models--Qwen--Qwen2.5-7B-Instruct/snapshots/0123abcd"), "Qwen/Qwen2.5-7B-Instruct");
  EXPECT_EQ(ModelName("/c/hub/models--a--b--c/snapshots/0123abcd/"), "a/b--c");
  EXPECT_EQ(ModelName("/c/hub/models--gpt2/snapshots/0123abcd"), "gpt2");
  EXPECT_EQ(ModelName("/c/snapshots/0123abcd"), "0123abcd");
}

}  // namespace
}  // namespace nla
