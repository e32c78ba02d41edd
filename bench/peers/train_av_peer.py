"""The peer that `nla bench train-av` is timed against: supervised training of a verbalizer with transformers.

Padded batches of 32 rows from an av_sft Parquet file, in file order; the marker's embedding row replaced by the scaled activation; loss
on the response tokens alone. Full fine-tuning: fp32 master weights, bf16 autocast (--dtype fp32: none), AdamW, gradient norm clipped
to 1. --lora RANK: the base in bf16 (or fp32), PEFT adapters in fp32 on all linears, alpha = 2 x rank. Timed: batch assembly, forward,
backward and update. Not timed: loading, tokenisation, and one step before the clock starts.

  train_av_peer.py --model DIR --dataset FILE.parquet --threads N [--steps 4] [--batch 32] [--lora RANK] [--dtype bf16|fp32]
                   [--learning-rate 1e-4] [--injection-scale S] [--gradient-checkpointing]
"""

import argparse
import math
import time

import peer_common


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--dataset", required=True, help="av_sft Parquet file with its sidecar beside it")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--steps", type=int, default=4, help="timed steps; one more goes before them")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lora", type=int, default=0, help="adapter rank; 0 trains every weight")
    parser.add_argument("--dtype", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--injection-scale", type=float, help="default: sqrt(d_model)")
    parser.add_argument("--gradient-checkpointing", action="store_true")
    return parser.parse_args()


def load_rows(args: argparse.Namespace, tokenizer) -> tuple[list[dict], int]:
    """The first rows of the file as {prompt, response, vector}, and the marker's id."""
    import pyarrow.parquet as pq
    import torch
    import yaml

    with open(f"{args.dataset}.nla_meta.yaml", encoding="utf-8") as sidecar:
        tokens = yaml.safe_load(sidecar)["tokens"]
    wanted = args.batch * (args.steps + 1)
    rows = []
    columns = ["prompt", "response", "activation_vector"]
    for batch in pq.ParquetFile(args.dataset).iter_batches(batch_size=1024, columns=columns):
        for row in batch.slice(0, wanted - len(rows)).to_pylist():
            messages = [{**m, "content": m["content"].replace("<INJECT>", tokens["injection_char"])} for m in row["prompt"]]
            text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            prompt = tokenizer(text, add_special_tokens=False)["input_ids"]
            response = tokenizer(row["response"], add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
            rows.append({"prompt": prompt, "response": response, "vector": torch.tensor(row["activation_vector"])})
        if len(rows) == wanted:
            break
    return rows, tokens["injection_token_id"]


def assemble(rows: list[dict], pad_id: int):
    import torch

    longest = max(len(row["prompt"]) + len(row["response"]) for row in rows)
    ids = torch.full((len(rows), longest), pad_id)
    labels = torch.full((len(rows), longest), -100)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for i, row in enumerate(rows):
        start, end = len(row["prompt"]), len(row["prompt"]) + len(row["response"])
        ids[i, :end] = torch.tensor(row["prompt"] + row["response"])
        labels[i, start:end] = ids[i, start:end]
        mask[i, :end] = 1
    return ids, labels, mask, torch.stack([row["vector"] for row in rows])


def build_model(args: argparse.Namespace):
    import torch
    import transformers

    low = torch.bfloat16 if args.dtype == "bf16" and args.lora else torch.float32
    model = transformers.AutoModelForCausalLM.from_pretrained(args.model, dtype=low)
    if args.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if args.lora:
        import peft

        linears = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
        config = peft.LoraConfig(r=args.lora, lora_alpha=2 * args.lora, lora_dropout=0.0, target_modules=linears)
        model = peft.get_peft_model(model, config)
    return model.train()


def main() -> None:
    args = parse_args()
    peer_common.limit_threads(args.threads)
    import torch
    import transformers

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    tokenizer = transformers.AutoTokenizer.from_pretrained(args.model)
    rows, marker = load_rows(args, tokenizer)
    pad_id = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    model = build_model(args)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=args.learning_rate, betas=(0.9, 0.95), weight_decay=0.0)
    scale = args.injection_scale or math.sqrt(model.config.hidden_size)

    def step(batch: list[dict]) -> tuple[float, int]:
        ids, labels, mask, vectors = assemble(batch, pad_id)
        sites = (ids == marker).nonzero()
        if len(sites) != len(batch):
            raise SystemExit(f"found {len(sites)} marker tokens in {len(batch)} prompts")
        embedded = model.get_input_embeddings()(ids)
        scaled = vectors * (scale / vectors.norm(dim=1, keepdim=True))
        embedded = embedded.index_put((sites[:, 0], sites[:, 1]), scaled.to(embedded.dtype))
        with peer_common.autocast(args.dtype):
            loss = model(inputs_embeds=embedded, attention_mask=mask, labels=labels, use_cache=False).loss
        loss.backward()
        peer_common.update(optimiser, trained)
        return float(loss.detach()), int(mask.sum())

    batches = [rows[i : i + args.batch] for i in range(0, len(rows), args.batch)]
    if len(batches) < 2:
        raise SystemExit(f"{args.dataset} has {len(rows)} rows; at least {args.batch + 1} are needed for one timed step")
    losses = [step(batches[0])[0]]
    tokens = 0
    started = time.perf_counter()
    for batch in batches[1:]:
        loss, count = step(batch)
        losses.append(loss)
        tokens += count
    seconds = time.perf_counter() - started
    peer_common.report(
        {
            "samples_per_second": round(sum(map(len, batches[1:])) / seconds, 4),
            "tokens_per_second": round(tokens / seconds, 2),
            "seconds": round(seconds, 3),
            "steps": len(batches) - 1,
            "batch": args.batch,
            "lora": args.lora,
            "dtype": args.dtype,
            "threads": args.threads,
            "losses": [round(loss, 4) for loss in losses],
        }
    )


if __name__ == "__main__":
    main()
