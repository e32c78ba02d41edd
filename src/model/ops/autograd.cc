// The one subclass of torch::autograd::Function: it holds an operation's backward and what that saved.
#include "model/ops/autograd.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "base/fail.h"

namespace nla::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

struct Gradient : torch::CustomClassHolder {
  Backward backward;
  std::vector<bool> defined;  // of the inputs: autograd takes none that is undefined
};

struct Operation : torch::autograd::Function<Operation> {
  static tensor_list forward(AutogradContext* ctx, at::TensorList /*inputs*/, const Forward& run,
                             const c10::intrusive_ptr<Gradient>& gradient) {
    ForwardResult result = run();
    ctx->save_for_backward(std::move(result.saved));
    ctx->saved_data["gradient"] = c10::IValue::make_capsule(gradient);
    return std::move(result.outputs);
  }

  static tensor_list backward(AutogradContext* ctx, const tensor_list& grads) {
    const auto gradient = c10::static_intrusive_pointer_cast<Gradient>(ctx->saved_data["gradient"].toCapsule());
    const Tensors of_inputs = gradient->backward(ctx->get_saved_variables(), grads);
    NLA_CHECK(of_inputs.size() == gradient->defined.size());
    tensor_list out;
    out.reserve(of_inputs.size() + 2);
    for (size_t i = 0; i < of_inputs.size(); ++i) {
      if (gradient->defined[i]) out.push_back(of_inputs[i]);
    }
    out.resize(out.size() + 2);  // the two functions have none
    return out;
  }
};

}  // namespace

Tensors Differentiable(const Tensors& inputs, const Forward& forward, Backward backward) {
  const bool wanted = at::GradMode::is_enabled() && std::any_of(inputs.begin(), inputs.end(), [](const at::Tensor& x) {
                        return x.defined() && x.requires_grad();
                      });
  if (!wanted) {
    const at::NoGradGuard no_grad;
    return forward().outputs;
  }
  auto gradient = c10::make_intrusive<Gradient>();
  gradient->backward = std::move(backward);
  Tensors defined;
  for (const at::Tensor& input : inputs) {
    gradient->defined.push_back(input.defined());
    if (input.defined()) defined.push_back(input);
  }
  return Operation::apply(at::TensorList(defined), forward, gradient);
}

}  // namespace nla::ops
