#!/usr/bin/env python3
"""Checks that two safetensors files hold the same tensors and metadata, by the safetensors package. Usage: A B"""

import sys

import torch
from safetensors import safe_open


def read(path: str) -> tuple[dict, dict]:
    with safe_open(path, framework="pt") as file:
        return file.metadata(), {name: file.get_tensor(name) for name in file.keys()}


def main() -> None:
    (metadata_a, a), (metadata_b, b) = read(sys.argv[1]), read(sys.argv[2])
    assert metadata_a == metadata_b, (metadata_a, metadata_b)
    assert a.keys() == b.keys(), a.keys() ^ b.keys()
    for name, values in a.items():
        assert values.dtype == b[name].dtype and values.shape == b[name].shape, name
        assert torch.equal(values, b[name]), name


if __name__ == "__main__":
    main()
