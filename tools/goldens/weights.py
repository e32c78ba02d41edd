#!/usr/bin/env python3
"""Writes tests/weights/golden: files by the safetensors and gguf packages, with the values those packages read back.

The reader under test is compared with these; the same script run twice writes the same bytes. Versions of the packages
are in each file's metadata.
"""

import argparse
import json
import pathlib
from importlib.metadata import version

import gguf
import numpy as np
import torch
from safetensors.torch import save_file

VERSIONS = {name: version(name) for name in ("gguf", "numpy", "safetensors", "torch")}
# One entry: safetensors writes several in no fixed order.
METADATA = {"made_by": "tools/goldens/weights.py with " + json.dumps(VERSIONS, sort_keys=True)}
Kind = gguf.GGMLQuantizationType
# Where a block has its scales and minimums, each a half. The first six make up the tiny Llama.
HALVES = {
    Kind.F32: [], Kind.F16: [0], Kind.BF16: [], Kind.Q8_0: [0], Kind.Q4_0: [0], Kind.Q4_1: [0, 2],
    Kind.Q5_0: [0], Kind.Q5_1: [0, 2], Kind.IQ4_NL: [0],
    Kind.Q2_K: [80, 82], Kind.Q3_K: [108], Kind.Q4_K: [0, 2], Kind.Q5_K: [0, 2], Kind.Q6_K: [208], Kind.IQ4_XS: [0],
}
TINY_LLAMA_TYPES = list(HALVES)[:6]
# Halves that need care: zeros, the smallest and largest subnormal, infinities, a NaN, the largest and smallest normal.
ODD_HALVES = [0x0000, 0x8000, 0x0001, 0x83FF, 0x7C00, 0xFC00, 0x7E00, 0x7BFF, 0x0400]


def dtypes_file(out: pathlib.Path, rng: np.random.Generator) -> None:
    """Every element type, a scalar, an empty tensor, and names that are not ASCII."""
    tensors = {
        "f64": torch.from_numpy(rng.standard_normal((2, 3))),
        "f32": torch.from_numpy(rng.standard_normal((3, 2, 2)).astype(np.float32)),
        "f16": torch.from_numpy(rng.standard_normal(5).astype(np.float16)),
        "bf16": torch.from_numpy(rng.standard_normal((1, 7)).astype(np.float32)).bfloat16(),
        "i64": torch.tensor([-(2**63), 2**63 - 1]),
        "i32": torch.tensor([[-(2**31)], [2**31 - 1]], dtype=torch.int32),
        "i16": torch.tensor([-32768, 32767], dtype=torch.int16),
        "i8": torch.tensor([-128, 127, 0], dtype=torch.int8),
        "u8": torch.tensor([0, 255], dtype=torch.uint8),
        "bool": torch.tensor([True, False, True]),
        "scalar": torch.tensor(0.5),
        "empty": torch.zeros((0, 4)),
        "größe \"quoted\"\n": torch.tensor([1.0]),
    }
    save_file(tensors, out / "dtypes.safetensors", metadata=METADATA)
    facts = {
        name: {"dtype": str(t.dtype).removeprefix("torch."), "shape": list(t.shape),
               "hex": t.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes().hex()}
        for name, t in tensors.items()
    }
    (out / "dtypes.json").write_text(json.dumps({"metadata": METADATA, "tensors": facts}, indent=1) + "\n")


def rounding_file(out: pathlib.Path, rng: np.random.Generator) -> None:
    """fp32 values and what torch (bf16) and numpy (fp16) round them to: random bits, ties, edges of the ranges."""
    bits = rng.integers(0, 2**32, 3000, dtype=np.uint32)
    halfway = (rng.integers(0, 2**16, 1000, dtype=np.uint32) << 16) | 0x8000
    half_ties = np.float32(np.arange(1000) * 2.0**-25)  # subnormal halves and the points between them
    normal_ties = (rng.integers(0x38800000 >> 12, 0x47800000 >> 12, 1000, dtype=np.uint32) << 12).view(np.float32)
    edges = np.array([0.0, -0.0, 65504, 65519.996, 65520, -65520, 6.1035156e-05, 6.0975552e-05, 5.9604645e-08,
                      2.9802322e-08, 2.9802326e-08, 1e-45, 3.4028235e38, np.inf, -np.inf], dtype=np.float32)
    values = np.concatenate([bits.view(np.float32), halfway.view(np.float32), half_ties, normal_ties, edges])
    values = values[~np.isnan(values)]
    with np.errstate(over="ignore"):
        halves = values.astype(np.float16)
    save_file({"f32": torch.from_numpy(values), "bf16": torch.from_numpy(values).bfloat16(),
               "f16": torch.from_numpy(halves)}, out / "rounding.safetensors", metadata=METADATA)


def random_blocks(rng: np.random.Generator, kind: Kind, rows: int, blocks: int) -> np.ndarray:
    """Random bytes in which every scale is finite, but for the last row, which goes through the odd halves."""
    size = gguf.constants.GGML_QUANT_SIZES[kind][1]
    data = rng.integers(0, 256, (rows, blocks, size), dtype=np.uint8)
    high = [at + 1 for at in HALVES[kind]] or [size - 1]
    for at in high:
        data[..., at] &= 0xBF  # the top exponent bit off
    for at in HALVES[kind]:
        for block in range(blocks):
            half = ODD_HALVES[(block + at) % len(ODD_HALVES)]
            data[-1, block, at : at + 2] = half & 0xFF, half >> 8
    return data.reshape(rows, blocks * size)


def blocks_file(out: pathlib.Path, rng: np.random.Generator) -> None:
    """Metadata of every type, and random blocks of every tensor type beside what the gguf package reads in them."""
    writer = gguf.GGUFWriter(out / "blocks.gguf", "golden")
    for key, value in METADATA.items():
        writer.add_string("golden." + key, value)
    writer.add_uint8("test.u8", 255)
    writer.add_int8("test.i8", -128)
    writer.add_uint16("test.u16", 65535)
    writer.add_int16("test.i16", -32768)
    writer.add_uint32("test.u32", 2**32 - 1)
    writer.add_int32("test.i32", -(2**31))
    writer.add_uint64("test.u64", 2**64 - 1)
    writer.add_int64("test.i64", -(2**63))
    writer.add_float32("test.f32", 1e-5)
    writer.add_float64("test.f64", 0.1)
    writer.add_bool("test.yes", True)
    writer.add_bool("test.no", False)
    writer.add_string("test.string", "Ġgrüße 🙂")
    writer.add_array("test.strings", ["a", "", "🙂"])
    writer.add_array("test.ints", [1, -2, 3])
    writer.add_array("test.floats", [0.5, 1e-5])
    expected = {}
    for kind in HALVES:
        width = gguf.constants.GGML_QUANT_SIZES[kind][0]
        raw = random_blocks(rng, kind, 4, max(9, 64 // width))
        if kind.name == "F32":
            raw = raw.view(np.float32)
        elif kind.name == "F16":
            raw = raw.view(np.float16)
        name = f"blocks.{kind.name}"
        writer.add_tensor(name, raw, raw_dtype=kind)
        with np.errstate(invalid="ignore"):
            expected[name] = torch.from_numpy(gguf.quants.dequantize(raw, kind).reshape(4, -1).astype(np.float32).copy())
    writer.add_tensor("cube.F32", np.arange(24, dtype=np.float32).reshape(2, 3, 4))
    expected["cube.F32"] = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_file(expected, out / "blocks_dequantized.safetensors", metadata=METADATA)


def byte_level_alphabet() -> list[str]:
    """The 256 characters of byte-level BPE, in the order of GPT-2's table."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in printable]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(len(rest))]


def pair_rows(weight: np.ndarray, heads: int) -> np.ndarray:
    """What llama.cpp's converter does to q and k: each head's two halves become pairs."""
    shape = weight.shape
    return weight.reshape(heads, 2, shape[0] // heads // 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


def tiny_llama_file(out: pathlib.Path, rng: np.random.Generator) -> None:
    """A two-block Llama with every tensor type, and the checkpoint tensors that it stands for, rounded to bf16."""
    hidden, inner, heads, kv_heads, blocks = 32, 64, 4, 2, 2
    head = hidden // heads
    merges = ["h e", "l l", "he ll", "hell o", "Ġ w", "Ġw o"]
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + byte_level_alphabet()
    tokens += [m.replace(" ", "") for m in merges] + ["<user>", "[PAD266]"]
    types = [3, 3, 3] + [1] * (len(tokens) - 5) + [4, 5]
    writer = gguf.GGUFWriter(out / "tiny_llama.gguf", "llama")
    for key, value in METADATA.items():
        writer.add_string("golden." + key, value)
    writer.add_block_count(blocks)
    writer.add_context_length(128)
    writer.add_embedding_length(hidden)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_rope_freq_base(100000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_rope_dimension_count(head)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_chat_template("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    expected = {}
    kinds = TINY_LLAMA_TYPES

    def add(source: str, name: str, shape: tuple[int, ...], paired_heads: int = 0) -> None:
        kind = kinds[len(expected) % len(kinds)] if len(shape) == 2 else Kind.F32
        stored = gguf.quants.quantize(rng.standard_normal(shape).astype(np.float32), kind)
        values = gguf.quants.dequantize(stored, kind).reshape(shape)
        # Blocks run along a row, so pairing rows of the stored form pairs the rows of the values.
        if paired_heads:
            stored = pair_rows(stored, paired_heads)
        writer.add_tensor(source, stored, raw_dtype=kind)
        expected[name] = torch.from_numpy(np.ascontiguousarray(values)).bfloat16()

    add("token_embd.weight", "model.embed_tokens.weight", (len(tokens), hidden))
    for i in range(blocks):
        gg, hf = f"blk.{i}.", f"model.layers.{i}."
        add(gg + "attn_norm.weight", hf + "input_layernorm.weight", (hidden,))
        add(gg + "attn_q.weight", hf + "self_attn.q_proj.weight", (heads * head, hidden), heads)
        add(gg + "attn_k.weight", hf + "self_attn.k_proj.weight", (kv_heads * head, hidden), kv_heads)
        add(gg + "attn_v.weight", hf + "self_attn.v_proj.weight", (kv_heads * head, hidden))
        add(gg + "attn_output.weight", hf + "self_attn.o_proj.weight", (hidden, heads * head))
        add(gg + "ffn_norm.weight", hf + "post_attention_layernorm.weight", (hidden,))
        add(gg + "ffn_gate.weight", hf + "mlp.gate_proj.weight", (inner, hidden))
        add(gg + "ffn_up.weight", hf + "mlp.up_proj.weight", (inner, hidden))
        add(gg + "ffn_down.weight", hf + "mlp.down_proj.weight", (hidden, inner))
    add("output_norm.weight", "model.norm.weight", (hidden,))
    add("output.weight", "lm_head.weight", (len(tokens), hidden))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_file(expected, out / "tiny_llama_bf16.safetensors", metadata=METADATA)


def main() -> None:
    root = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, default=root / "tests/weights/golden")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for seed, make in enumerate((dtypes_file, rounding_file, blocks_file, tiny_llama_file)):
        make(out, np.random.default_rng(seed))


if __name__ == "__main__":
    main()
