"""What the transformers peers share: threads, peak memory, versions, and one JSON line as the result."""

import contextlib
import json
import os
import platform
import sys


def limit_threads(count: int) -> None:
    """Before torch is imported: its thread pools read these once."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(count)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true" if count > 1 else "false")
    os.environ.setdefault("RAYON_NUM_THREADS", str(count))
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")


def autocast(dtype: str):
    """The context of a forward pass: bf16 arithmetic, or none for "fp32"."""
    import torch

    return torch.autocast("cpu", dtype=torch.bfloat16) if dtype == "bf16" else contextlib.nullcontext()


def update(optimiser, trained) -> None:
    """A step on gradients of norm 1 at most; they are gone afterwards."""
    import torch

    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)


def peak_rss_mb() -> float:
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) / 1024, 1)
    raise RuntimeError("/proc/self/status has no VmHWM")


def versions() -> dict[str, str]:
    names = ("torch", "transformers", "peft")
    found = {name: sys.modules[name].__version__ for name in names if name in sys.modules}
    return {"python": platform.python_version(), **found}


def report(result: dict) -> None:
    print(json.dumps({**result, "peak_rss_mb": peak_rss_mb(), "versions": versions()}), flush=True)
