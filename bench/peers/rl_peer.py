"""The peer that `nla bench rl` is timed against: a whole step of reinforcement learning with transformers, PEFT and PyTorch.

Of each of --prompts activations (rows in file order): --samples replies sampled at temperature 1 by generate() from input embeddings, the
whole batch at once, the marker's row being the scaled activation; the explanations between the tags through the reconstructor, whose
error is the negated reward (2 where the reply failed); advantages within a group; one GRPO update of the verbalizer's adapters with the k3
estimator of the KL to the adapters that it began with; one update of the reconstructor's adapters and value head by the same pass that
scored. Padded micro-batches of one group, the vocabulary projection on reply positions alone. AdamW, gradient norm clipped to 1. Base in
bf16 (or fp32), adapters in fp32. Not timed: loading, and one step before the clock starts.

  rl_peer.py --model DIR --pair DIR --dataset FILE.parquet --threads N [--steps 1] [--prompts 16] [--samples 8] [--max-new-tokens 80]
             [--dtype bf16|fp32]
"""

import argparse
import pathlib
import re
import time

import peer_common

FAILED = 2.0
KL_COEFFICIENT = 0.01
CLIP = 0.2


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--pair", required=True, type=pathlib.Path, help="directory with av/ and ar/ in PEFT layout")
    parser.add_argument("--dataset", required=True, help="rows of stage rl")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--steps", type=int, default=1, help="timed steps; one more goes before them")
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--max-new-tokens", type=int, default=80)
    parser.add_argument("--dtype", choices=("bf16", "fp32"), default="bf16")
    return parser.parse_args()


def read_vectors(args: argparse.Namespace):
    import pyarrow.parquet as pq
    import torch

    wanted = args.prompts * (args.steps + 1)
    rows = []
    for batch in pq.ParquetFile(args.dataset).iter_batches(batch_size=1024, columns=["activation_vector"]):
        rows += batch.slice(0, wanted - len(rows)).to_pydict()["activation_vector"]
        if len(rows) == wanted:
            return torch.tensor(rows)
    raise SystemExit(f"{args.dataset} has {len(rows)} rows, {wanted} are needed")


class Verbalizer:
    """The policy's adapters, trained, and the same once more, frozen: the reference."""

    def __init__(self, args: argparse.Namespace, tokenizer):
        import peft
        import torch
        import transformers
        import yaml

        meta = yaml.safe_load((args.pair / "av/nla_meta.yaml").read_text())
        dtype = torch.bfloat16 if args.dtype == "bf16" else torch.float32
        base = transformers.AutoModelForCausalLM.from_pretrained(args.model, dtype=dtype)
        self.model = peft.PeftModel.from_pretrained(base, args.pair / "av", adapter_name="policy", is_trainable=True)
        self.model.load_adapter(args.pair / "av", adapter_name="reference")
        self.model.set_adapter("policy")
        self.scale = meta["extraction"]["injection_scale"]
        tokens = meta["tokens"]
        content = meta["prompt_templates"]["actor"].format(injection_char=tokens["injection_char"])
        chat = tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        self.prompt = torch.tensor(tokenizer(chat, add_special_tokens=False)["input_ids"])
        (self.site,) = (self.prompt == tokens["injection_token_id"]).nonzero().flatten().tolist()
        self.tokenizer = tokenizer
        self.pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        self.trained = [p for p in self.model.parameters() if p.requires_grad]

    def prompt_rows(self, vectors):
        rows = self.model.get_input_embeddings()(self.prompt).repeat(len(vectors), 1, 1)
        rows[:, self.site] = (vectors * (self.scale / vectors.norm(dim=1, keepdim=True))).to(rows.dtype)
        return rows.detach()

    def reply(self, vectors, args: argparse.Namespace):
        """Ids [B, N], padded after the end, and how many of each are the reply's, its end included."""
        import torch

        rows = self.prompt_rows(vectors)
        with torch.no_grad():
            ids = self.model.generate(
                inputs_embeds=rows,
                attention_mask=torch.ones(rows.shape[:2], dtype=torch.long),
                do_sample=True,
                temperature=1.0,
                top_k=0,
                top_p=1.0,
                max_new_tokens=args.max_new_tokens,
                eos_token_id=self.tokenizer.eos_token_id,
                pad_token_id=self.pad,
            )
        ends = (ids == self.tokenizer.eos_token_id).int()
        lengths = torch.where(ends.any(1), ends.argmax(1) + 1, ids.shape[1])
        return ids, lengths, ends.any(1)

    def logprobs(self, vectors, ids):
        """Of each id [B, N], in fp32."""
        import torch

        embedded = torch.cat([self.prompt_rows(vectors), self.model.get_input_embeddings()(ids[:, :-1])], dim=1)
        logits = self.model(inputs_embeds=embedded, use_cache=False, logits_to_keep=ids.shape[1]).logits.float()
        return logits.log_softmax(-1).gather(2, ids[:, :, None])[:, :, 0]


class Reconstructor:
    def __init__(self, args: argparse.Namespace, tokenizer):
        import peft
        import safetensors.torch
        import torch
        import transformers
        import yaml

        meta = yaml.safe_load((args.pair / "ar/nla_meta.yaml").read_text())
        self.template = meta["prompt_templates"]["critic"]
        dtype = torch.bfloat16 if args.dtype == "bf16" else torch.float32
        base = transformers.AutoModelForCausalLM.from_pretrained(args.model, dtype=dtype)
        blocks = meta["critic"]["extraction_layer_index"] + 1
        base.model.layers = base.model.layers[:blocks]
        base.config.num_hidden_layers = blocks
        base.model.norm = torch.nn.Identity()
        self.model = peft.PeftModel.from_pretrained(base, args.pair / "ar", is_trainable=True)
        (head,) = safetensors.torch.load_file(args.pair / "ar/value_head.safetensors").values()
        self.head = torch.nn.Parameter(head.float())
        self.tokenizer = tokenizer
        self.trained = [p for p in self.model.parameters() if p.requires_grad] + [self.head]

    def errors(self, explanations, vectors):
        """Mean squared error of each at norm sqrt(d), with gradients."""
        import torch

        prompts = [self.tokenizer(self.template.format(explanation=text))["input_ids"] for text in explanations]
        lengths = torch.tensor([len(prompt) for prompt in prompts])
        ids = torch.zeros((len(prompts), int(lengths.max())), dtype=torch.long)
        for row, prompt in zip(ids, prompts, strict=True):
            row[: len(prompt)] = torch.tensor(prompt)
        mask = torch.arange(ids.shape[1])[None] < lengths[:, None]
        hidden = self.model.get_base_model().model(ids, attention_mask=mask.long(), use_cache=False).last_hidden_state
        predicted = hidden[torch.arange(len(prompts)), lengths - 1].float() @ self.head.T
        cosine = torch.nn.functional.cosine_similarity(predicted, vectors, dim=1)
        return 2 - 2 * cosine


def advantages_of(rewards, samples: int):
    groups = rewards.view(-1, samples)
    return ((groups - groups.mean(1, keepdim=True)) / (groups.std(1, keepdim=True) + 1e-6)).flatten()


def main() -> None:
    args = parse_args()
    peer_common.limit_threads(args.threads)
    import peft  # noqa: F401 (its version is reported)
    import torch
    import transformers

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    tokenizer = transformers.AutoTokenizer.from_pretrained(args.model)
    rows = read_vectors(args)
    actor = Verbalizer(args, tokenizer)
    critic = Reconstructor(args, tokenizer)
    actor_optimiser = torch.optim.AdamW(actor.trained, lr=1e-5, betas=(0.9, 0.95), weight_decay=0.0)
    critic_optimiser = torch.optim.AdamW(critic.trained, lr=1e-5, betas=(0.9, 0.95), weight_decay=0.0)

    def score(texts, stopped, vectors):
        """Errors of all replies, 2 where they failed; the gradients of the mean are left in the critic."""
        found = [re.search(r"<explanation>\s*(.*?)\s*</explanation>", text, re.DOTALL) for text in texts]
        whole = [i for i, match in enumerate(found) if match and stopped[i]]
        errors = torch.full((len(texts),), FAILED)
        for begin in range(0, len(whole), args.samples):
            chunk = torch.tensor(whole[begin : begin + args.samples])
            with peer_common.autocast(args.dtype):
                part = critic.errors([found[i].group(1) for i in chunk.tolist()], vectors[chunk])
            (part.sum() / len(whole)).backward()
            errors[chunk] = part.detach()
        return errors

    def train_actor(ids, lengths, vectors, advantages) -> None:
        for part in torch.arange(len(ids)).split(args.samples):
            longest = int(lengths[part].max())
            words = ids[part, :longest]
            mask = torch.arange(longest)[None] < lengths[part][:, None]
            with peer_common.autocast(args.dtype):
                actor.model.set_adapter("reference")
                with torch.no_grad():
                    reference = actor.logprobs(vectors[part], words)
                actor.model.set_adapter("policy")
                policy = actor.logprobs(vectors[part], words)
            ratio = (policy - policy.detach()).exp()
            gain = advantages[part][:, None]
            loss = torch.maximum(-ratio * gain, -ratio.clamp(1 - CLIP, 1 + CLIP) * gain)
            distance = policy - reference
            loss = loss + KL_COEFFICIENT * ((-distance).exp() - 1 + distance)
            ((loss * mask).sum(1) / mask.sum(1)).sum().div(len(ids)).backward()

    def step(vectors) -> tuple[float, int]:
        repeated = vectors.repeat_interleave(args.samples, dim=0)
        with peer_common.autocast(args.dtype):
            ids, lengths, stopped = actor.reply(repeated, args)
        texts = [tokenizer.decode(row[:n], skip_special_tokens=True) for row, n in zip(ids, lengths, strict=True)]
        rewards = -score(texts, stopped.tolist(), repeated)
        train_actor(ids, lengths, repeated, advantages_of(rewards, args.samples))
        peer_common.update(actor_optimiser, actor.trained)
        peer_common.update(critic_optimiser, critic.trained)
        return float(rewards.mean()), int(lengths.sum())

    batches = rows.split(args.prompts)
    rewards = [step(batches[0])[0]]
    tokens = 0
    started = time.perf_counter()
    for batch in batches[1:]:
        reward, count = step(batch)
        rewards.append(reward)
        tokens += count
    seconds = time.perf_counter() - started
    replies = args.steps * args.prompts * args.samples
    peer_common.report(
        {
            "samples_per_second": round(replies / seconds, 4),
            "tokens_mean": round(tokens / replies, 2),
            "seconds": round(seconds, 3),
            "steps": args.steps,
            "dtype": args.dtype,
            "threads": args.threads,
            "rewards": [round(reward, 4) for reward in rewards],
        }
    )


if __name__ == "__main__":
    main()
