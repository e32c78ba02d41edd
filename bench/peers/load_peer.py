"""The peer that `nla bench load` is timed against: a prompt's first token from a checkpoint directory with transformers.

The caller times the whole process. `seconds_after_imports` is what is left of it when torch and transformers are imported already:
reading tokenizer and weights, the prompt's forward pass, the choice of one token.

  load_peer.py --model DIR --prompt TEXT --threads N [--dtype bf16|fp32]
"""

import argparse
import time

import peer_common


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--prompt", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--dtype", choices=("bf16", "fp32"), default="bf16")
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    peer_common.limit_threads(args.threads)
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(args.threads)
    started = time.perf_counter()
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype={"bf16": torch.bfloat16, "fp32": torch.float32}[args.dtype])
    ids = tokenizer(args.prompt, return_tensors="pt")
    with torch.no_grad():
        reply = model.generate(**ids, max_new_tokens=1, do_sample=False)
    peer_common.report(
        {
            "ids": reply[0, ids["input_ids"].shape[1] :].tolist(),
            "seconds_after_imports": round(time.perf_counter() - started, 4),
            "dtype": args.dtype,
            "threads": args.threads,
        }
    )


if __name__ == "__main__":
    main()
