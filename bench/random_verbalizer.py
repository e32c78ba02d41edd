"""Writes a whole verbalizer with random weights in the shape of a published model, to measure memory and speed by: its explanations
are noise. Weights are bf16, normal with deviation 0.02; norms are 1. Needs the packages of requirements/oracles.txt.

  .venv/bin/python bench/random_verbalizer.py --config recipes/configs/Qwen2.5-7B-Instruct.json --tokenizer DIR --out DIR
"""

import argparse
import json
import pathlib
import shutil

import torch
import transformers
import yaml
from safetensors.torch import save_file

SHARD_BYTES = 2_000_000_000
TEMPLATE = "Put the meaning of this vector into words: <concept>{injection_char}</concept>"


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, type=pathlib.Path)
    parser.add_argument("--tokenizer", required=True, type=pathlib.Path, help="tokenizer.json and tokenizer_config.json")
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--injection-scale", type=float, default=150)
    return parser.parse_args()


def shapes_of(config: dict) -> dict[str, list[int]]:
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.for_model(**config))
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    if config.get("tie_word_embeddings"):
        shapes.pop("lm_head.weight", None)
    return shapes


def tensor(name: str, shape: list[int], generator: torch.Generator) -> torch.Tensor:
    if "norm" in name:
        return torch.ones(shape, dtype=torch.bfloat16)
    return torch.empty(shape, dtype=torch.bfloat16).normal_(0, 0.02, generator=generator)


def write_weights(shapes: dict[str, list[int]], out: pathlib.Path) -> None:
    generator = torch.Generator().manual_seed(0)
    shards: list[dict[str, list[int]]] = [{}]
    size = 0
    for name, shape in shapes.items():
        size += 2 * torch.Size(shape).numel()
        if size > SHARD_BYTES and shards[-1]:
            shards.append({})
            size = 2 * torch.Size(shape).numel()
        shards[-1][name] = shape
    weight_map = {}
    for i, shard in enumerate(shards):
        file = f"model-{i + 1:05}-of-{len(shards):05}.safetensors"
        save_file({name: tensor(name, shape, generator) for name, shape in shard.items()}, out / file)
        weight_map |= dict.fromkeys(shard, file)
        print(file, flush=True)
    (out / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def marker_facts(tokenizer) -> dict:
    """A character of one token whose neighbours in the prompt are tokens of their own."""
    for code in range(0x3200, 0x33FF):
        char = chr(code)
        ids = tokenizer(char, add_special_tokens=False)["input_ids"]
        if len(ids) != 1:
            continue
        chat = tokenizer.apply_chat_template(
            [{"role": "user", "content": TEMPLATE.format(injection_char=char)}], tokenize=False, add_generation_prompt=True
        )
        prompt = tokenizer(chat, add_special_tokens=False)["input_ids"]
        if prompt.count(ids[0]) == 1:
            at = prompt.index(ids[0])
            return {
                "injection_char": char,
                "injection_token_id": ids[0],
                "injection_left_neighbor_id": prompt[at - 1],
                "injection_right_neighbor_id": prompt[at + 1],
            }
    raise SystemExit("the tokenizer has no character that can be the marker")


def main() -> None:
    args = parse_args()
    args.out.mkdir(parents=True)
    config = json.loads(args.config.read_text())
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(args.tokenizer / file, args.out / file)
    tokenizer = transformers.AutoTokenizer.from_pretrained(args.out)
    sidecar = {
        "kind": "nla_model",
        "schema_version": 2,
        "role": "actor",
        "stage": "av_sft",
        "base_checkpoint": args.config.stem,
        "d_model": config["hidden_size"],
        "extraction": {"injection_scale": args.injection_scale, "mse_scale": None},
        "tokens": marker_facts(tokenizer),
        "prompt_templates": {"actor": TEMPLATE},
    }
    (args.out / "nla_meta.yaml").write_text(yaml.safe_dump(sidecar, allow_unicode=True, sort_keys=False))
    (args.out / "config.json").write_text(json.dumps(config | {"dtype": "bfloat16", "torch_dtype": "bfloat16"}, indent=1))
    write_weights(shapes_of(config), args.out)


if __name__ == "__main__":
    main()
