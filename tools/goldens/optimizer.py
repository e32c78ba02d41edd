"""Makes tests/train/golden/optimizer.safetensors: eight steps of torch.optim.AdamW with clipping, in fp32 and fp64.

  .venv/bin/python tools/goldens/optimizer.py [tests/train/golden/optimizer.safetensors]

start.{i}           the tensors before the first step (sizes around those at which a vector loop changes its path)
grad.{step}.{i}     their gradients
norm                [steps] global norm before clipping
after.{step}.{i}    the tensors after the step, fp64 arithmetic rounded to fp32
Settings: lr 0.01, weight decay 0.1, betas 0.9 and 0.95, eps 1e-8, clip 1.0.
"""
import sys

import torch
from safetensors.torch import save_file

SIZES = [(1,), (7,), (16,), (33, 5), (20, 25)]
STEPS = 8


def main(path):
    generator = torch.Generator().manual_seed(5)
    golden = {}
    parameters = []
    for i, size in enumerate(SIZES):
        start = torch.randn(size, generator=generator)
        golden[f"start.{i}"] = start.clone()
        parameters.append(start.double().requires_grad_())
    optimiser = torch.optim.AdamW(parameters, lr=0.01, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
    norms = []
    for step in range(STEPS):
        # Gradients from far above the clip to far below it, and some exact zeros.
        scale = 10.0 ** (1 - step)
        for i, parameter in enumerate(parameters):
            grad = torch.randn(parameter.shape, generator=generator) * scale
            grad[torch.rand(parameter.shape, generator=generator) < 0.1] = 0
            golden[f"grad.{step}.{i}"] = grad
            parameter.grad = grad.double()
        norms.append(torch.nn.utils.clip_grad_norm_(parameters, 1.0))
        optimiser.step()
        for i, parameter in enumerate(parameters):
            golden[f"after.{step}.{i}"] = parameter.detach().float()
    golden["norm"] = torch.stack(norms).float()
    save_file(golden, path, metadata={"made_with": f"torch {torch.__version__}"})


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "tests/train/golden/optimizer.safetensors")
