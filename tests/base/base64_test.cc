#include "base/base64.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error_testing.h"

namespace nla {
namespace {

using testing::HasSubstr;

TEST(Base64, ThereAndBack) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(DecodeBase64(EncodeBase64(bytes), "f"), bytes);
    bytes += static_cast<char>(i * 37);
  }
  EXPECT_EQ(EncodeBase64("AB"), "QUI=");
  for (const char* bad : {"Q", "QQ=", "Q===", "QQ!=", "=QQQ", "QQ==QQ==", "QQ\n=", "\xff\xff\xff\xff"}) {
    EXPECT_THAT(Refusal([&] { DecodeBase64(bad, "f"); }), HasSubstr("f: is not base64")) << bad;
  }
}

}  // namespace
}  // namespace nla
