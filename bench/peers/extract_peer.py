"""The peer that `nla bench extract` is timed against: activations of block K with transformers, the way the reference takes them.

Batches of 16 texts in corpus order, right-padded to the longest, truncated to 2048 tokens; a forward hook on block K while the whole
model and its vocabulary head run; the captured block copied, cast to fp32 and cut to each text's length. Timed: tokenisation, forward
and cutting of every batch. Not timed: loading, and one batch before the clock starts. Counted: real tokens, never padding.

  extract_peer.py --model DIR --corpus FILE.jsonl --layer K --threads N [--limit-docs N] [--batch 16] [--dtype bf16|fp32]
"""

import argparse
import json
import time

import peer_common


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--corpus", required=True, help='{"text": "..."} lines')
    parser.add_argument("--layer", type=int, required=True, help="K: the output of block K, 0-based")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--limit-docs", type=int, default=256)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--max-length", type=int, default=2048)
    parser.add_argument("--dtype", choices=("bf16", "fp32"), default="bf16")
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    peer_common.limit_threads(args.threads)
    import torch
    import transformers

    torch.set_num_threads(args.threads)
    dtype = {"bf16": torch.bfloat16, "fp32": torch.float32}[args.dtype]
    with open(args.corpus, encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for _, line in zip(range(args.limit_docs), lines)]
    tokenizer = transformers.AutoTokenizer.from_pretrained(args.model)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = tokenizer.truncation_side = "right"
    model = transformers.AutoModelForCausalLM.from_pretrained(args.model, dtype=dtype).eval()

    captured = []

    def keep(_module, _inputs, output):
        captured.append((output[0] if isinstance(output, tuple) else output).detach().clone())

    model.model.layers[args.layer].register_forward_hook(keep)

    @torch.no_grad()
    def extract(batch: list[str]) -> tuple[int, float]:
        captured.clear()
        encoded = tokenizer(batch, return_tensors="pt", padding=True, truncation=True, max_length=args.max_length)
        model(input_ids=encoded["input_ids"], attention_mask=encoded["attention_mask"], use_cache=False)
        hidden = captured[0].float()
        lengths = encoded["attention_mask"].sum(dim=1).tolist()
        rows = [hidden[i, :length].clone() for i, length in enumerate(lengths)]
        return sum(lengths), float(rows[0][-1].norm())

    _, first_norm = extract(texts[: args.batch])
    tokens = 0
    started = time.perf_counter()
    for start in range(0, len(texts), args.batch):
        tokens += extract(texts[start : start + args.batch])[0]
    seconds = time.perf_counter() - started
    peer_common.report(
        {
            "tokens_per_second": round(tokens / seconds, 2),
            "seconds": round(seconds, 3),
            "tokens": tokens,
            "documents": len(texts),
            "batch": args.batch,
            "dtype": args.dtype,
            "threads": args.threads,
            "first_norm": round(first_norm, 3),
        }
    )


if __name__ == "__main__":
    main()
