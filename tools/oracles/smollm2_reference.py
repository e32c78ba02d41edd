"""What transformers computes on a real checkpoint, for the slow test that compares our decoder with it.

  .venv/bin/python tools/oracles/smollm2_reference.py --model DIR --texts FILE.jsonl --out FILE.safetensors
      [--layers 0,9,20,29] [--limit 4] [--max-tokens 200] [--new-tokens 64] [--prompts FILE.jsonl]

DIR is a Hugging Face directory (as `nla convert` writes it), FILE.jsonl holds {"text": "..."} lines. Eager attention, one text at a time,
fp32 where not said otherwise. Fields of the output:

  text{i}.ids            [T]      int32, the text's tokens, truncated to --max-tokens
  text{i}.hidden.{K}     [T, D]   output of block K (0-based), before the final norm also for the last block
  text{i}.logits         [T, V]   only the last 16 rows, to keep the file small: rows T-n .. T-1 with n = min(T, 16)
  text{i}.bf16.{name}             the same hidden states and logits computed in bf16, stored as fp32: how far transformers' own bf16 is off
  prompt{i}.ids          [P]      int32, ten prompts through the chat format with the generation prompt
  prompt{i}.greedy       [N]      int32, the greedy continuation of --new-tokens tokens (shorter when the model ends its turn)
  prompt{i}.margin       [N]      fp32, first minus second logit at each of those tokens: where it is tiny, a tie may fall either way
"""

import argparse
import functools
import json
import pathlib

import torch
import transformers
from safetensors.torch import save_file

DEFAULT_PROMPTS = (
    "What is the capital of France?",
    "Write a two-sentence story about a lighthouse keeper.",
    "Explain why the sky is blue to a child.",
    "Give me three tips for growing tomatoes on a balcony.",
    "Translate 'good morning' into Spanish and Italian.",
    "What is 17 times 6?",
    "Write a short e-mail asking a neighbour to turn the music down.",
    "List the planets of the solar system in order.",
    "Who wrote Pride and Prejudice, and what is it about?",
    "Describe how to change a bicycle tyre.",
)
LOGIT_ROWS = 16


def read_jsonl(path: pathlib.Path, key: str, limit: int) -> list[str]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line)[key] for _, line in zip(range(limit), lines)]


@torch.no_grad()
def forward_text(model, ids: torch.Tensor, layers: list[int]) -> dict[str, torch.Tensor]:
    kept: dict[int, torch.Tensor] = {}
    hooks = [
        model.model.layers[k].register_forward_hook(
            lambda _m, _i, output, k=k: kept.__setitem__(k, output[0] if isinstance(output, tuple) else output)
        )
        for k in layers
    ]
    logits = model(input_ids=ids[None], use_cache=False).logits[0]
    for hook in hooks:
        hook.remove()
    named = {f"hidden.{k}": kept[k].reshape(len(ids), -1) for k in layers} | {"logits": logits[-LOGIT_ROWS:]}
    return {name: value.float() for name, value in named.items()}


@torch.no_grad()
def greedy(model, ids: torch.Tensor, count: int, stop_ids: set[int]) -> tuple[torch.Tensor, torch.Tensor]:
    tokens, margins = [], []
    cache = None
    feed = ids[None]
    for _ in range(count):
        out = model(input_ids=feed, past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        top = out.logits[0, -1].topk(2)
        tokens.append(int(top.indices[0]))
        margins.append(float(top.values[0] - top.values[1]))
        if tokens[-1] in stop_ids:
            break
        feed = torch.tensor([[tokens[-1]]])
    return torch.tensor(tokens, dtype=torch.int32), torch.tensor(margins)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--texts", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--layers", type=lambda s: [int(x) for x in s.split(",")], default=[0, 9, 20, 29])
    parser.add_argument("--limit", type=int, default=4)
    parser.add_argument("--max-tokens", type=int, default=200)
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--prompts", type=pathlib.Path, help='{"prompt": "..."} lines instead of the ten built-in ones')
    args = parser.parse_args()

    tokenizer = transformers.AutoTokenizer.from_pretrained(args.model)
    load = functools.partial(transformers.AutoModelForCausalLM.from_pretrained, args.model, attn_implementation="eager")
    model, model_bf16 = load(dtype=torch.float32).eval(), load(dtype=torch.bfloat16).eval()
    out: dict[str, torch.Tensor] = {}
    for i, text in enumerate(read_jsonl(args.texts, "text", args.limit)):
        ids = torch.tensor(tokenizer(text)["input_ids"][: args.max_tokens])
        out[f"text{i}.ids"] = ids.to(torch.int32)
        out |= {f"text{i}.{name}": value for name, value in forward_text(model, ids, args.layers).items()}
        out |= {f"text{i}.bf16.{name}": value for name, value in forward_text(model_bf16, ids, args.layers).items()}

    stop_ids = {tokenizer.eos_token_id}
    prompts = read_jsonl(args.prompts, "prompt", 10) if args.prompts else DEFAULT_PROMPTS
    for i, prompt in enumerate(prompts):
        chat = tokenizer.apply_chat_template([{"role": "user", "content": prompt}], add_generation_prompt=True, return_dict=True)
        ids = torch.tensor(chat["input_ids"])
        out[f"prompt{i}.ids"] = ids.to(torch.int32)
        out[f"prompt{i}.greedy"], out[f"prompt{i}.margin"] = greedy(model, ids, args.new_tokens, stop_ids)

    made_with = {"made_with": f"torch {torch.__version__}, transformers {transformers.__version__}"}
    save_file({name: value.contiguous() for name, value in out.items()}, args.out, metadata=made_with)


if __name__ == "__main__":
    main()
