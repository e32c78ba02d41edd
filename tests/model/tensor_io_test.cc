// Between weight files and torch: every floating type, what is refused, and what is written.
#include "model/tensor_io.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "base/error_testing.h"
#include "base/scratch_testing.h"
#include "weights/safetensors.h"

namespace nla {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TensorView View(DType dtype, std::vector<int64_t> shape, std::span<const std::byte> bytes) {
  return {"layer.weight", dtype, std::move(shape), bytes};
}

TEST(ToTensorTest, ReadsEveryFloatingType) {
  // 1.5 and -2 in each type.
  const std::array<uint16_t, 2> bf16 = {0x3FC0, 0xC000};
  const std::array<uint16_t, 2> fp16 = {0x3E00, 0xC000};
  const std::array<float, 2> fp32 = {1.5F, -2.0F};
  const std::array<double, 2> fp64 = {1.5, -2.0};
  const auto read = [](DType dtype, auto bytes, at::ScalarType to) {
    const at::Tensor tensor = ToTensor(View(dtype, {2}, bytes), {2}, to, "f");
    EXPECT_EQ(tensor.scalar_type(), to);
    EXPECT_EQ(tensor[0].item<double>(), 1.5);
    EXPECT_EQ(tensor[1].item<double>(), -2.0);
  };
  for (const at::ScalarType to : {at::kFloat, at::kBFloat16, at::kDouble}) {
    read(DType::kBF16, std::as_bytes(std::span(bf16)), to);
    read(DType::kF16, std::as_bytes(std::span(fp16)), to);
    read(DType::kF32, std::as_bytes(std::span(fp32)), to);
    read(DType::kF64, std::as_bytes(std::span(fp64)), to);
  }
}

TEST(ToTensorTest, OwnsItsNumbers) {
  std::array<float, 4> values = {1, 2, 3, 4};
  const at::Tensor tensor =
      ToTensor(View(DType::kF32, {2, 2}, std::as_bytes(std::span(values))), {2, 2}, at::kFloat, "f");
  values.fill(9);
  EXPECT_EQ(tensor[1][0].item<float>(), 3);
}

TEST(ToTensorTest, RefusesAnotherShapeAndTypesThatAreNotFloats) {
  const std::array<float, 4> values = {1, 2, 3, 4};
  const auto bytes = std::as_bytes(std::span(values));
  const auto refused = [&](DType dtype, const std::vector<int64_t>& stored, const std::vector<int64_t>& wanted) {
    return Refusal([&] { ToTensor(View(dtype, stored, bytes), wanted, at::kFloat, "model.safetensors"); });
  };
  EXPECT_EQ(refused(DType::kF32, {2, 2}, {2, 2}), "accepted");
  EXPECT_EQ(refused(DType::kF32, {2, 2}, {4}), "model.safetensors: layer.weight: shape: found [2, 2], wanted [4]");
  EXPECT_THAT(refused(DType::kF32, {4, 1}, {1, 4}), HasSubstr("found [4, 1], wanted [1, 4]"));
  EXPECT_THAT(refused(DType::kI32, {4}, {4}),
              AllOf(HasSubstr("model.safetensors: layer.weight: dtype"), HasSubstr("found I32")));
  EXPECT_THAT(refused(DType::kU8, {16}, {16}), HasSubstr("found U8"));
  EXPECT_THAT(refused(DType::kBool, {16}, {16}), HasSubstr("a floating-point type"));
}

TEST(WriteTensorsTest, WritesWhatIsReadBack) {
  const ScratchDirectory scratch;
  const at::Tensor rows = at::randn({6, 5});
  const std::vector<NamedTensor> tensors = {{"part", rows.narrow(1, 1, 3)}, {"turned", rows.t()}};  // not contiguous
  for (const at::ScalarType store : {at::kFloat, at::kBFloat16, at::kHalf, at::kDouble}) {
    WriteTensors(scratch / "out.safetensors", tensors, store);
    const SafetensorsFile file = SafetensorsFile::Open(scratch / "out.safetensors");
    ASSERT_EQ(file.tensors().size(), 2U);
    for (const NamedTensor& named : tensors) {
      const at::Tensor read = ToTensor(*file.Find(named.name), named.tensor.sizes().vec(), at::kDouble, "out");
      EXPECT_TRUE(at::equal(read, named.tensor.to(store).to(at::kDouble))) << named.name;
    }
  }
}

TEST(ChooseDTypeTest, KnowsItsThreeNames) {
  EXPECT_EQ(ChooseDType("fp32"), at::kFloat);
  EXPECT_EQ(ChooseDType("bf16"), at::kBFloat16);
  EXPECT_THAT(ChooseDType("auto"), testing::AnyOf(at::kFloat, at::kBFloat16));
  EXPECT_EQ(Refusal([] { ChooseDType("fp16"); }),
            "--dtype: unknown compute dtype: found fp16, wanted auto, fp32 or bf16");
}

}  // namespace
}  // namespace nla
