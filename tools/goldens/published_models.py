"""Names and shapes of published models' tensors, for the test that walks them.

  .venv/bin/python tools/goldens/published_models.py [--out tests/model/golden/published]

Each config below is what that model publishes as far as it changes tensors or arithmetic. transformers builds the model on the meta
device, and its parameters of the language model are written to {name}.txt: one line for each name and shape, block numbers folded
into a range, the number of parameters on the first line. {name}.json is the config.
"""

import argparse
import json
import pathlib
import re

import torch
import transformers

LLAMA3_ROPE = {"high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 8192, "rope_type": "llama3"}


def llama(hidden: int, inner: int, blocks: int, heads: int, kv_heads: int, vocabulary: int, **more) -> dict:
    return {
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_attention_heads": heads,
        "num_hidden_layers": blocks,
        "num_key_value_heads": kv_heads,
        "rms_norm_eps": 1e-05,
        "vocab_size": vocabulary,
        **more,
    }


def gemma3_small(hidden: int, inner: int, blocks: int) -> dict:
    return {
        "model_type": "gemma3_text",
        "attn_logit_softcapping": None,
        "final_logit_softcapping": None,
        "head_dim": 256,
        "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": hidden,
        "intermediate_size": inner,
        "max_position_embeddings": 32768,
        "num_attention_heads": 4,
        "num_hidden_layers": blocks,
        "num_key_value_heads": 1,
        "query_pre_attn_scalar": 256,
        "rms_norm_eps": 1e-06,
        "rope_local_base_freq": 10000,
        "rope_scaling": None,
        "rope_theta": 1000000,
        "sliding_window": 512,
        "sliding_window_pattern": 6,
        "vocab_size": 262144,
    }


def gemma3_nested(**text) -> dict:
    scaling = {"factor": 8.0, "rope_type": "linear"}
    return {
        "model_type": "gemma3",
        "architectures": ["Gemma3ForConditionalGeneration"],
        "mm_tokens_per_image": 256,
        "text_config": {"model_type": "gemma3_text", "rope_scaling": scaling, "sliding_window": 1024, **text},
        "vision_config": {
            "hidden_size": 1152,
            "image_size": 896,
            "intermediate_size": 4304,
            "model_type": "siglip_vision_model",
            "num_attention_heads": 16,
            "num_hidden_layers": 27,
            "patch_size": 14,
        },
    }


PUBLISHED = {
    "SmolLM2-135M": llama(576, 1536, 30, 9, 3, 49152, max_position_embeddings=8192, rope_theta=100000, tie_word_embeddings=True),
    "Llama-3.2-1B": llama(
        2048, 8192, 16, 32, 8, 128256, head_dim=64, max_position_embeddings=131072, rope_theta=500000.0,
        rope_scaling={"factor": 32.0, **LLAMA3_ROPE}, tie_word_embeddings=True,
    ),
    "Llama-3.3-70B-Instruct": llama(
        8192, 28672, 80, 64, 8, 128256, head_dim=128, max_position_embeddings=131072, rope_theta=500000.0,
        rope_scaling={"factor": 8.0, **LLAMA3_ROPE}, tie_word_embeddings=False,
    ),
    "Mistral-7B-v0.3": {
        **llama(4096, 14336, 32, 32, 8, 32768, max_position_embeddings=32768, rope_theta=1000000.0),
        "model_type": "mistral", "sliding_window": None, "tie_word_embeddings": False,
    },
    "Qwen2.5-7B-Instruct": {
        **llama(3584, 18944, 28, 28, 4, 152064, max_position_embeddings=32768, rope_theta=1000000.0),
        "model_type": "qwen2", "max_window_layers": 28, "rms_norm_eps": 1e-06, "sliding_window": 131072,
        "tie_word_embeddings": False, "use_sliding_window": False,
    },
    "Qwen3-0.6B": {
        **llama(1024, 3072, 28, 16, 8, 151936, max_position_embeddings=40960, rope_theta=1000000, head_dim=128),
        "model_type": "qwen3", "attention_bias": False, "max_window_layers": 28, "rms_norm_eps": 1e-06, "rope_scaling": None,
        "sliding_window": None, "tie_word_embeddings": True, "use_sliding_window": False,
    },
    "Gemma-3-270M": gemma3_small(640, 2048, 18),
    "Gemma-3-1B": gemma3_small(1152, 6912, 26),
    "Gemma-3-4B": gemma3_nested(hidden_size=2560, intermediate_size=10240, num_hidden_layers=34),
    "Gemma-3-12B": gemma3_nested(
        hidden_size=3840, intermediate_size=15360, num_hidden_layers=48, num_attention_heads=16, num_key_value_heads=8
    ),
    "Gemma-3-27B": gemma3_nested(
        hidden_size=5376, intermediate_size=21504, num_hidden_layers=62, num_attention_heads=32, num_key_value_heads=16,
        head_dim=128, query_pre_attn_scalar=168,
    ),
}


def parameters(config_path: pathlib.Path) -> dict[str, tuple]:
    config = transformers.AutoConfig.from_pretrained(config_path)
    is_nested = hasattr(config, "text_config")
    family = transformers.AutoModelForImageTextToText if is_nested else transformers.AutoModelForCausalLM
    with torch.device("meta"):
        model = family.from_config(config)
    named = {name.replace("model.language_model.", "model."): tuple(p.shape) for name, p in model.named_parameters()}
    return {name: shape for name, shape in named.items() if "vision_tower" not in name and "multi_modal_projector" not in name}


def fold(named: dict[str, tuple]) -> list[str]:
    """Lines "name shape", with the block's number replaced by the range of blocks that have it."""
    blocks: dict[tuple, list[int]] = {}
    for name, shape in named.items():
        match = re.search(r"\.layers\.(\d+)\.", name)
        key = (re.sub(r"\.layers\.\d+\.", ".layers.*.", name), "x".join(map(str, shape)))
        blocks.setdefault(key, []).append(int(match.group(1)) if match else 0)
    lines = []
    for (name, shape), numbers in blocks.items():
        assert numbers == list(range(len(numbers))), name
        lines.append(f"{name.replace('*', f'0-{len(numbers) - 1}')} {shape}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("tests/model/golden/published"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name, config in PUBLISHED.items():
        path = args.out / f"{name}.json"
        path.write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
        named = parameters(path)
        total = sum(torch.Size(shape).numel() for shape in named.values())
        print(name, total)
        header = f"{total} parameters, transformers {transformers.__version__}"
        (args.out / f"{name}.txt").write_text("\n".join([header, *fold(named)]) + "\n")


if __name__ == "__main__":
    main()
