"""Activation files as other tools write them, for tests/data/activation_formats_test.cc.

Value (i, j) of a file of n rows and width d is (i·d + j − 5)/4: exact in every type here. Versions used: see
versions.json beside the files. Usage: .venv/bin/python tools/goldens/activations.py
"""

import io
import json
import pathlib
import zipfile

import numpy as np
import safetensors
import safetensors.numpy
import safetensors.torch
import torch

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "tests/data/golden/activations"
ROWS, WIDTH = 5, 7


def matrix(rows=ROWS, width=WIDTH):
    return (np.arange(rows * width).reshape(rows, width) - 5) / 4


def save_npy(name, array, version=(1, 0)):
    with open(FOLDER / name, "wb") as file:
        np.lib.format.write_array(file, array, version=version)


def npy_files():
    for kind in ("f2", "f4", "f8"):
        for end, letter in (("<", "little"), (">", "big")):
            save_npy(f"{kind}_{letter}_c.npy", matrix().astype(end + kind))
            save_npy(f"{kind}_{letter}_fortran.npy", np.asfortranarray(matrix().astype(end + kind)))
    save_npy("v2.npy", matrix().astype("<f4"), (2, 0))
    save_npy("v3.npy", np.asfortranarray(matrix().astype("<f4")), (3, 0))
    save_npy("one_row.npy", matrix(1).astype("<f4")[0])
    # What must be refused.
    save_npy("refused_int.npy", matrix().astype("<i4"))
    save_npy("refused_3d.npy", matrix().astype("<f4").reshape(5, 1, 7))
    save_npy("refused_scalar.npy", np.float32(1.5))
    save_npy("refused_structured.npy", np.zeros(3, dtype=[("a", "<f4"), ("b", "<f4")]))
    np.save(FOLDER / "refused_pickle.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)


def npz_files():
    values = matrix().astype("<f4")
    np.savez(FOLDER / "stored.npz", acts=values, other=np.arange(3.0))
    np.savez_compressed(FOLDER / "deflated.npz", activation_vector=np.asfortranarray(values), other=np.arange(3.0))
    # All sizes and places in zip64 fields, as archives above 4 GiB have them.
    array = io.BytesIO()
    np.save(array, values)
    limit = zipfile.ZIP64_LIMIT
    zipfile.ZIP64_LIMIT = 16
    with zipfile.ZipFile(FOLDER / "zip64.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("acts.npy", "w", force_zip64=True) as member:
            member.write(array.getvalue())
    zipfile.ZIP64_LIMIT = limit
    with zipfile.ZipFile(FOLDER / "refused_bzip2.npz", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("acts.npy", array.getvalue())


def safetensors_files():
    for kind in ("f2", "f4", "f8"):
        safetensors.numpy.save_file({"acts": matrix().astype(kind)}, FOLDER / f"{kind}.safetensors")
    bf16 = torch.from_numpy(matrix()).to(torch.bfloat16)
    safetensors.torch.save_file({"activation_vector": bf16, "ids": torch.arange(3)}, FOLDER / "bf16.safetensors")


def jsonl_files():
    values = matrix()
    lines = [json.dumps(row.tolist()) for row in values]
    (FOLDER / "arrays.jsonl").write_text("\n\n".join(lines))
    rows = [
        {"doc_id": f"d{i}", "acts": row.tolist(), "tags": ["x"], "n_raw_tokens": i + 1, "activation_layer": 3,
         "api_explanation": f"é {i}", "detokenized_text_truncated": None if i == 1 else f"text {i}"}
        for i, row in enumerate(values)
    ]
    (FOLDER / "objects.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    npy_files()
    npz_files()
    safetensors_files()
    jsonl_files()
    versions = {"numpy": np.__version__, "safetensors": safetensors.__version__, "torch": torch.__version__}
    (FOLDER / "versions.json").write_text(json.dumps(versions) + "\n")


if __name__ == "__main__":
    main()
