#!/usr/bin/env python3
"""Checks a converted checkpoint against the gguf and transformers packages. Usage: check_conversion.py GGUF DIRECTORY"""

import pathlib
import sys

import gguf
import numpy as np
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

LAYER_NAMES = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}
OUTER_NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def checkpoint_name(name: str) -> str:
    parts = name.split(".")
    if parts[0] == "blk":
        return f"model.layers.{parts[1]}.{LAYER_NAMES[parts[2]]}.weight"
    return OUTER_NAMES[parts[0]] + ".weight"


def pair_rows(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """The way into GGUF: each head's two halves become pairs."""
    rows, width = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, width).transpose(1, 2).reshape(rows, width)


def check_tensors(reader: gguf.GGUFReader, tensors: dict[str, torch.Tensor]) -> None:
    heads = {"attn_q": reader.fields["llama.attention.head_count"].contents(),
             "attn_k": reader.fields["llama.attention.head_count_kv"].contents()}
    assert len(reader.tensors) == len(tensors)
    for source in reader.tensors:
        ours = tensors[checkpoint_name(source.name)]
        assert ours.dtype == torch.bfloat16, source.name
        kind = source.name.split(".")[-2]
        if kind in heads:
            ours = pair_rows(ours, heads[kind])
        values = gguf.quants.dequantize(source.data, source.tensor_type).astype(np.float32)
        wanted = torch.from_numpy(values).reshape([int(n) for n in reversed(source.shape)]).bfloat16()
        assert torch.equal(ours, wanted), source.name


def check_transformers(path: pathlib.Path, directory: str) -> None:
    model, info = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
    theirs = AutoModelForCausalLM.from_pretrained(str(path.parent), gguf_file=path.name, dtype=torch.float32)
    for name, values in theirs.state_dict().items():
        assert torch.equal(model.state_dict()[name], values.bfloat16().float()), name
    for key in ("hidden_size", "num_hidden_layers", "num_key_value_heads", "vocab_size", "tie_word_embeddings",
                "rms_norm_eps", "rope_parameters", "eos_token_id"):
        ours, wanted = getattr(model.config, key), getattr(theirs.config, key)
        assert ours == wanted or (key == "rms_norm_eps" and abs(ours - wanted) < 1e-12), (key, ours, wanted)

    tokenizer = AutoTokenizer.from_pretrained(directory)
    inputs = tokenizer("The capital of France is", return_tensors="pt")
    text = tokenizer.decode(model.generate(**inputs, max_new_tokens=2, do_sample=False)[0])
    assert text == "The capital of France is Paris.", text
    assert tokenizer("room 1984").tokens() == ["room", "Ġ", "1", "9", "8", "4"]
    chat = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True)
    assert chat == ("<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
                    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"), chat
    assert tokenizer("<|im_end|>").input_ids == [2]
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id, tokenizer.pad_token_id) == (1, 2, 0, 2)


def main() -> None:
    path, directory = pathlib.Path(sys.argv[1]), sys.argv[2]
    check_tensors(gguf.GGUFReader(path), load_file(directory + "/model.safetensors"))
    check_transformers(path, directory)


if __name__ == "__main__":
    main()
