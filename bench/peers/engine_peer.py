"""The peer that `nla bench decode` and `nla bench prefill` are timed against: transformers with its key/value cache.

decode: a batch of prompts of equal length is read, one token of each is written before the clock starts, then `--tokens` greedy
tokens of each are timed. prefill: prompts are read one after another, each to its first greedy token; only the last row's logits
are computed. Loading is not timed.

  engine_peer.py decode|prefill --model DIR --threads N [--batch 32] [--prompt-tokens 32] [--tokens 64] [--prompts 4] [--dtype bf16|fp32]
"""

import argparse
import time

import peer_common


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=("decode", "prefill"))
    parser.add_argument("--model", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--prompt-tokens", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--dtype", choices=("bf16", "fp32"), default="bf16")
    return parser.parse_args()


def prompt_ids(i: int, tokens: int, vocabulary: int) -> list[int]:
    """As PromptIds in src/cli/bench_engine.cc."""
    return [(i * 7919 + k * 104729 + 11) % vocabulary for k in range(tokens)]


def main() -> None:
    args = parse_args()
    peer_common.limit_threads(args.threads)
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(args.threads)
    dtype = {"bf16": torch.bfloat16, "fp32": torch.float32}[args.dtype]
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=dtype).eval()
    vocabulary = model.config.vocab_size

    @torch.no_grad()
    def step(ids, cache=None):
        out = model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return out.logits[:, -1].argmax(-1, keepdim=True), out.past_key_values

    def decode() -> tuple[float, list[int]]:
        ids = torch.tensor([prompt_ids(i, args.prompt_tokens, vocabulary) for i in range(args.batch)])
        first, cache = step(ids)
        token, cache = step(first, cache)
        started = time.perf_counter()
        for _ in range(args.tokens):
            token, cache = step(token, cache)
        return args.batch * args.tokens / (time.perf_counter() - started), first[:, 0].tolist()

    def prefill() -> tuple[float, list[int]]:
        seconds, first = 0.0, []
        step(torch.tensor([prompt_ids(0, args.prompt_tokens, vocabulary)]))
        for i in range(1, args.prompts + 1):
            ids = torch.tensor([prompt_ids(i, args.prompt_tokens, vocabulary)])
            started = time.perf_counter()
            token, _ = step(ids)
            seconds += time.perf_counter() - started
            first.append(int(token))
        return args.prompts * args.prompt_tokens / seconds, first

    rate, first = decode() if args.mode == "decode" else prefill()
    peer_common.report({"tokens_per_second": round(rate, 2), "first": first, "dtype": args.dtype, "threads": args.threads})


if __name__ == "__main__":
    main()
