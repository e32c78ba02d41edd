"""Writes the tiny random Llama checkpoints that the decoder's and the trainer's tests load, and what transformers computes on them.

  .venv/bin/python tools/oracles/tiny_llama.py [--out tests/model/golden]

Two Hugging Face directories, each config.json + model.safetensors + golden.safetensors:

  tiny_llama         3 blocks, 4 heads of 16, 2 KV heads, tied head, rope_theta at the top level of config.json, weights in F32
  tiny_llama_untied  2 blocks, 4 heads of 8 (head_dim given: heads x head_dim is not the model's width), own lm_head,
                     rope_theta inside rope_parameters, weights in BF16

Fields of golden.safetensors (fp32, eager attention, one sequence at a time, so no padding):

  seq{i}.ids            [T]      int32, i = 0..2, three different lengths
  seq{i}.hidden.{l}     [T, D]   l = 0 the embeddings, l = k + 1 the output of block k (the last one too: BEFORE the final norm)
  seq{i}.final_norm     [T, D]   the last block's output after the final norm
  seq{i}.logits         [T, V]
  loss                  []       mean cross-entropy over the next-token predictions of all three sequences together
  grad.{parameter}               gradient of that loss, named as in model.safetensors (tied: the sum of both uses)

The file's metadata names the versions of torch and transformers.
"""

import argparse
import json
import pathlib

import torch
import transformers
from safetensors.torch import save_file

SEQUENCE_LENGTHS = (5, 23, 14)

COMMON = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "hidden_act": "silu",
    "hidden_size": 64,
    "initializer_range": 0.02,
    "intermediate_size": 96,
    "max_position_embeddings": 512,
    "mlp_bias": False,
    "model_type": "llama",
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 288,
}

VARIANTS = {
    "tiny_llama": {
        "num_hidden_layers": 3,
        "tie_word_embeddings": True,
        "rms_norm_eps": 1e-05,
        "rope_theta": 10000.0,
        "torch_dtype": "float32",
    },
    "tiny_llama_untied": {
        "num_hidden_layers": 2,
        "head_dim": 8,
        "tie_word_embeddings": False,
        "rms_norm_eps": 1e-06,
        "rope_parameters": {"rope_theta": 500000.0, "rope_type": "default"},
        "dtype": "bfloat16",
    },
}


def randomise(model: torch.nn.Module, generator: torch.Generator) -> None:
    """Weights large enough that attention is far from uniform and every norm weight matters."""
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim == 1:
            value = 1.0 + 0.2 * noise
        elif "embed_tokens" in name:
            value = 0.5 * noise
        else:
            gain = 2.0 if ("q_proj" in name or "k_proj" in name) else 1.0
            value = gain * noise / parameter.shape[1] ** 0.5
        # Values that bf16 holds exactly: the same numbers whatever dtype the file stores.
        parameter.data.copy_(value.to(torch.bfloat16).float())


def golden_of(model: torch.nn.Module, generator: torch.Generator, lengths: tuple = SEQUENCE_LENGTHS) -> dict[str, torch.Tensor]:
    text_model = getattr(model.model, "language_model", model.model)
    vocab_size = model.config.get_text_config().vocab_size
    block_outputs: list[torch.Tensor] = []

    def keep(_module, _inputs, output):
        block_outputs.append(output[0] if isinstance(output, tuple) else output)

    for block in text_model.layers:
        block.register_forward_hook(keep)

    golden = {}
    total = torch.zeros(())
    predictions = 0
    for i, length in enumerate(lengths):
        ids = torch.randint(3, vocab_size, (length,), generator=generator)
        block_outputs.clear()
        out = model(input_ids=ids[None], output_hidden_states=True, use_cache=False)
        golden[f"seq{i}.ids"] = ids.to(torch.int32)
        golden[f"seq{i}.hidden.0"] = out.hidden_states[0][0]
        for k, hidden in enumerate(block_outputs):
            golden[f"seq{i}.hidden.{k + 1}"] = hidden[0]
        golden[f"seq{i}.final_norm"] = out.hidden_states[-1][0]
        golden[f"seq{i}.logits"] = out.logits[0]
        total = total + torch.nn.functional.cross_entropy(out.logits[0, :-1], ids[1:], reduction="sum")
        predictions += length - 1
    loss = total / predictions
    loss.backward()
    golden["loss"] = loss
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:  # a vision tower has none
            golden[f"grad.{name}"] = parameter.grad
    return {name: value.detach().clone().contiguous() for name, value in golden.items()}


def write_variant(out: pathlib.Path, overrides: dict, seed: int) -> None:
    config = dict(sorted({**COMMON, **overrides}.items()))
    generator = torch.Generator().manual_seed(seed)
    llama_config = transformers.LlamaConfig(**config)
    llama_config._attn_implementation = "eager"
    model = transformers.LlamaForCausalLM(llama_config).float().eval()
    randomise(model, generator)

    out.mkdir(parents=True, exist_ok=True)
    stored = torch.bfloat16 if config.get("dtype") == "bfloat16" else torch.float32
    weights = {name: parameter.detach().to(stored).contiguous() for name, parameter in model.named_parameters()}
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")

    # What is loaded back from the directory is what the golden is computed on.
    loaded = transformers.LlamaForCausalLM.from_pretrained(out, dtype=torch.float32, attn_implementation="eager").eval()
    # One metadata key only: with two, the order in the file's header (and so the file's hash) changes from run to run.
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}, seed {seed}"
    save_file(golden_of(loaded, generator), out / "golden.safetensors", metadata={"made_with": versions})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("tests/model/golden"))
    args = parser.parse_args()
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    for seed, (name, overrides) in enumerate(VARIANTS.items(), start=11):
        write_variant(args.out / name, overrides, seed)


if __name__ == "__main__":
    main()
