"""Writes tiny random checkpoints of every model family, and what transformers computes on them.

  .venv/bin/python tools/oracles/tiny_families.py                      the fast tests' goldens, tests/model/golden/families
  .venv/bin/python tools/oracles/tiny_families.py --large --out DIR    wider ones with long sequences, for the slow test

One Hugging Face directory a variant: config.json + model.safetensors + golden.safetensors, whose fields are those of tiny_llama.py, and

  embeddings_bf16       [T, D]   input embeddings of seq1 by the model in bf16, stored as fp32
  cached.logits         [T, V]   only with --large: logits of seq1 fed token by token through transformers' own cache

Some configs are written as transformers 4 writes them (rope_theta at the top), some as 5 does (rope_parameters). "gemma3" is the
multimodal model whose language model is nested, with the tensor names of the published checkpoints and a small vision tower.
"""

import argparse
import json
import pathlib

import tiny_llama
import torch
import transformers
from safetensors.torch import save_file

COMMON = {
    "attention_dropout": 0.0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "hidden_size": 24,
    "initializer_range": 0.02,
    "intermediate_size": 24,
    "max_position_embeddings": 512,
    "num_attention_heads": 4,
    "num_hidden_layers": 3,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-06,
    "vocab_size": 48,
}
LLAMA3 = {"factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 64, "rope_type": "llama3"}
GEMMA = {
    "head_dim": 8,
    "hidden_activation": "gelu_pytorch_tanh",
    "num_key_value_heads": 1,
    "query_pre_attn_scalar": 20,
    "rope_local_base_freq": 100.0,
    "rope_theta": 5000.0,
    "sliding_window": 6,
}

VARIANTS = {
    "llama3": {
        "model_type": "llama",
        "attention_bias": True,
        "head_dim": 8,
        "hidden_act": "silu",
        "mlp_bias": True,
        "rope_scaling": LLAMA3,
        "rope_theta": 500.0,
        "tie_word_embeddings": True,
    },
    "mistral": {"model_type": "mistral", "head_dim": 8, "rope_theta": 10000.0, "sliding_window": 7},
    "qwen2": {
        "model_type": "qwen2",
        "head_dim": 6,
        "max_window_layers": 1,
        "rope_parameters": {"rope_theta": 1000.0, "rope_type": "default"},
        "sliding_window": 5,
        "use_sliding_window": True,
    },
    "qwen3": {
        "model_type": "qwen3",
        "head_dim": 8,
        "rope_parameters": {"factor": 2.0, "rope_theta": 1000.0, "rope_type": "linear"},
        "sliding_window": None,
        "tie_word_embeddings": True,
        "use_sliding_window": False,
    },
    "gemma3_text": {
        "model_type": "gemma3_text",
        **{key: GEMMA[key] for key in GEMMA if not key.startswith("rope")},
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "rope_parameters": {
            "full_attention": {"factor": 8.0, "rope_theta": 5000.0, "rope_type": "linear"},
            "sliding_attention": {"rope_theta": 100.0, "rope_type": "default"},
        },
    },
    "gemma3": {"model_type": "gemma3_text", **GEMMA, "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window_pattern": 2},
}

LARGE = {"hidden_size": 80, "intermediate_size": 152, "max_position_embeddings": 1024, "vocab_size": 320}
LARGE_VARIANTS = {
    **VARIANTS,
    "llama3_untied": {**VARIANTS["llama3"], "tie_word_embeddings": False, "attention_bias": False, "mlp_bias": False},
    "llama_linear": {**VARIANTS["llama3"], "rope_scaling": {"factor": 4.0, "type": "linear"}},
    "mistral_full": {**VARIANTS["mistral"], "sliding_window": None},
    "qwen2_tied": {**VARIANTS["qwen2"], "tie_word_embeddings": True, "use_sliding_window": False},
    "qwen3_untied": {**VARIANTS["qwen3"], "tie_word_embeddings": False, "attention_bias": True},
    "gemma3_untied": {**VARIANTS["gemma3"], "tie_word_embeddings": False},
}

VISION = {
    "hidden_size": 8,
    "image_size": 28,
    "intermediate_size": 8,
    "model_type": "siglip_vision_model",
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "patch_size": 14,
}


def nested(text: dict) -> dict:
    """The multimodal config around a text config."""
    return {
        "architectures": ["Gemma3ForConditionalGeneration"],
        "mm_tokens_per_image": 4,
        "model_type": "gemma3",
        "text_config": text,
        "tie_word_embeddings": text.get("tie_word_embeddings", True),
        "vision_config": VISION,
    }


def published_name(name: str) -> str:
    """Where the published multimodal checkpoints have what transformers calls `name`."""
    if name.startswith("model.language_model."):
        return "language_model.model." + name.removeprefix("model.language_model.")
    return ("language_model." if name.startswith("lm_head.") else "") + name.removeprefix("model.")


def randomise(model: torch.nn.Module, generator: torch.Generator) -> None:
    """Weights large enough that attention is far from uniform and every norm and bias matters."""
    offset = 0.0 if "gemma3" in model.config.model_type else 1.0
    embedding_scale = model.config.get_text_config().hidden_size ** 0.5 if offset == 0.0 else 1.0
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if name.endswith(".bias"):
            value = 0.3 * noise
        elif parameter.ndim == 1:
            value = offset + 0.2 * noise
        elif "embed_tokens" in name:
            value = 0.5 * noise / embedding_scale
        else:
            gain = 2.0 if ("q_proj" in name or "k_proj" in name) else 1.0
            value = gain * noise / parameter.shape[-1] ** 0.5
        parameter.data.copy_(value.to(torch.bfloat16).float())


@torch.no_grad()
def cached_logits(model: torch.nn.Module, ids: torch.Tensor) -> torch.Tensor:
    cache = None
    rows = []
    for token in ids:
        out = model(input_ids=token.reshape(1, 1), past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        rows.append(out.logits[0, -1])
    return torch.stack(rows)


def write_variant(out: pathlib.Path, name: str, text: dict, seed: int, large: bool) -> None:
    is_nested = name.startswith("gemma3") and name != "gemma3_text"
    config = nested(text) if is_nested else text
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    family = transformers.AutoModelForImageTextToText if is_nested else transformers.AutoModelForCausalLM
    generator = torch.Generator().manual_seed(seed)
    model = family.from_config(transformers.AutoConfig.from_pretrained(out)).float()
    randomise(model, generator)
    rename = published_name if is_nested and name != "gemma3_untied" else str
    weights = {rename(key): parameter.detach().to(torch.bfloat16) for key, parameter in model.named_parameters()}
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})

    # What is loaded back from the directory is what the golden is computed on.
    loaded, report = family.from_pretrained(out, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    if report["missing_keys"] or report["unexpected_keys"]:
        raise SystemExit(f"{name}: {report}")
    loaded.eval()
    lengths = (5, 300, 64) if large else (5, 23, 14)
    golden = tiny_llama.golden_of(loaded, generator, lengths)
    # Gradients of the language model alone, by their names in a text-only checkpoint.
    golden = {key.replace("grad.model.language_model.", "grad.model."): value for key, value in golden.items()}
    ids = golden["seq1.ids"].long()
    if large:
        golden["cached.logits"] = cached_logits(loaded, ids[:64])
        golden = {key: value for key, value in golden.items() if not (key.startswith("seq1.") and ".logits" in key)}
    half = family.from_pretrained(out, dtype=torch.bfloat16, attn_implementation="eager").eval()
    golden["embeddings_bf16"] = half.get_input_embeddings()(ids).detach().float()
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}, seed {seed}"
    save_file({key: value.contiguous() for key, value in golden.items()}, out / "golden.safetensors", metadata={"made_with": versions})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("tests/model/golden/families"))
    parser.add_argument("--large", action="store_true")
    args = parser.parse_args()
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    for seed, (name, overrides) in enumerate((LARGE_VARIANTS if args.large else VARIANTS).items(), start=31):
        text = {**COMMON, **overrides}
        if args.large:
            text |= LARGE
            if text.get("sliding_window"):
                text["sliding_window"] = 40
        write_variant(args.out / name, name, text, seed, args.large)


if __name__ == "__main__":
    main()
