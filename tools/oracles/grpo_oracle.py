"""The verbalizer's reinforcement-learning step on the tiny checkpoint, in plain PyTorch: the oracle for `train rl`.

  .venv/bin/python tools/oracles/grpo_oracle.py [--base tests/model/golden/tiny_llama] [--out tests/train/golden]

Two groups of three replies to two activations, three updates on the same replies: the first has ratio 1 everywhere, the later ones
have tokens on both sides of the clipping. The decoder is sft_oracle.py's, one sequence at a time. fp32, one thread. What is computed
follows the definitions (advantages with the unbiased standard deviation, token mean inside a reply and then the mean of the replies,
logits divided by the temperature); where TRL defines the same thing, its formula is computed too and must agree.

grpo_fixture.json            the settings (see SETTINGS and CASES below)
grpo_golden.safetensors
  prompt_ids [P], response_ids [sum], response_lengths [6]   int32
  vectors [2, D], rewards [6], rollout_logprobs [sum]        fp32
  {linear}.lora_{A,B}.weight                                 the adapters that the policy begins with; the reference has none
  advantages [6]                                             fp64
  terms.{logprobs,old,reference,rollout,advantages,weights}  [T] fp32: made-up numbers for the objective alone
  terms.{kind}.{plain,importance}.{loss,grad}                what it makes of them, fp64
  {case}.{losses,kls,clipped,grad_norms} [3]                 of each update; grad norms before clipping
  {case}.grad.{parameter}                                    gradients of the third update, before clipping
"""

import argparse
import json
import pathlib

import sft_oracle
import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import load_file, save_file

SETTINGS = {
    "groups": 2,
    "samples": 3,
    "site": 6,
    "injection_scale": 4.0,
    "temperature": 1.6,
    "clip_low": 0.2,
    "clip_high": 0.25,
    "kl_coef": 0.1,
    "importance_cap": 2.0,
    "updates": 3,
    "lora_rank": 4,
    "lora_alpha": 8.0,
    "adam_beta1": 0.9,
    "adam_beta2": 0.95,
    "adam_epsilon": 1e-8,
    "clip_norm": 1.0,
}
CASES = {
    "lora_k1": {"method": "lora", "kl_kind": "k1", "importance": False, "learning_rate": 5e-4},
    "lora_k2": {"method": "lora", "kl_kind": "k2", "importance": False, "learning_rate": 5e-4},
    "lora_k3": {"method": "lora", "kl_kind": "k3", "importance": False, "learning_rate": 5e-4},
    "lora_k3_importance": {"method": "lora", "kl_kind": "k3", "importance": True, "learning_rate": 5e-4},
    "full_k3": {"method": "full", "kl_kind": "k3", "importance": False, "learning_rate": 3e-5},
}


def advantages_of(rewards: torch.Tensor) -> torch.Tensor:
    groups = rewards.double().view(-1, SETTINGS["samples"])
    return ((groups - groups.mean(1, keepdim=True)) / (groups.std(1, keepdim=True) + 1e-6)).flatten()


def kl_term(difference: torch.Tensor, kind: str) -> torch.Tensor:
    return {"k1": difference, "k2": difference**2 / 2, "k3": torch.exp(-difference) - 1 + difference}[kind]


def objective(t: dict[str, torch.Tensor], kind: str, importance: bool) -> dict[str, torch.Tensor]:
    ratio = torch.exp(t["logprobs"] - t["old"])
    free = -ratio * t["advantages"]
    bounded = -ratio.clamp(1 - SETTINGS["clip_low"], 1 + SETTINGS["clip_high"]) * t["advantages"]
    policy = torch.maximum(free, bounded)
    if importance:
        policy = policy * torch.exp(t["old"] - t["rollout"]).clamp(0, SETTINGS["importance_cap"])
    kl = kl_term(t["logprobs"] - t["reference"], kind)
    return {
        "loss": ((policy + SETTINGS["kl_coef"] * kl) * t["weights"]).sum(),
        "kl": (kl * t["weights"]).sum(),
        "clipped": ((bounded > free) * t["weights"]).sum(),
    }


def trl_loss(t: dict[str, torch.Tensor], lengths: list[int]) -> torch.Tensor:
    """GRPOTrainer's loss of loss_type "grpo" (k3, no importance sampling), over replies padded to one width."""
    padded = {name: torch.nn.utils.rnn.pad_sequence(value.split(lengths), batch_first=True) for name, value in t.items()}
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones(n) for n in lengths], batch_first=True).to(t["logprobs"].dtype)
    coef_1 = torch.exp(padded["logprobs"] - padded["old"])
    coef_2 = torch.clamp(coef_1, 1 - SETTINGS["clip_low"], 1 + SETTINGS["clip_high"])
    per_token = -torch.min(coef_1 * padded["advantages"], coef_2 * padded["advantages"])
    away = padded["reference"] - padded["logprobs"]
    per_token = per_token + SETTINGS["kl_coef"] * (torch.exp(away) - away - 1)
    return ((per_token * mask).sum(-1) / mask.sum(-1).clamp(min=1.0)).mean()


def reply_logprobs(decoder: sft_oracle.Decoder, f: dict[str, torch.Tensor]) -> torch.Tensor:
    """Log-probabilities of all replies' tokens, one reply after another."""
    prompt, site, rows = f["prompt_ids"].long(), SETTINGS["site"], []
    responses = sft_oracle.rows_of(f["response_ids"], f["response_lengths"])
    for i, response in enumerate(responses):
        embedded = decoder.embed(torch.cat([prompt, response[:-1]]))
        v = f["vectors"][i // SETTINGS["samples"]].to(embedded.dtype)
        embedded = torch.cat([embedded[:site], (v * (SETTINGS["injection_scale"] / v.norm()))[None], embedded[site + 1 :]])
        hidden = decoder.blocks(embedded, decoder.c.num_hidden_layers)
        logits = decoder.logits(hidden[len(prompt) - 1 :]) / SETTINGS["temperature"]
        rows.append(F.log_softmax(logits, -1).gather(1, response[:, None])[:, 0])
    return torch.cat(rows)


def reply_weights(lengths: torch.Tensor) -> torch.Tensor:
    return torch.cat([torch.full((n,), 1.0 / (n * len(lengths))) for n in lengths.tolist()])


def spread_over_tokens(values: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    return values.repeat_interleave(lengths.long())


def make_fixture(config, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(2025)
    replies = SETTINGS["groups"] * SETTINGS["samples"]

    def ids(count: int) -> torch.Tensor:
        return torch.randint(8, config.vocab_size, (count,), generator=g, dtype=torch.int32)

    prompt = ids(12)
    prompt[SETTINGS["site"]] = sft_oracle.MARKER
    lengths = torch.randint(3, 12, (replies,), generator=g, dtype=torch.int32)
    lengths[1] = 1  # a reply may be its stop token alone
    f = {
        "prompt_ids": prompt,
        "response_lengths": lengths,
        "response_ids": ids(int(lengths.sum())),
        "vectors": F.normalize(torch.randn(SETTINGS["groups"], config.hidden_size, generator=g)) * 20.0,
        "rewards": -2.0 * torch.rand(replies, generator=g),
    }
    for i in range(config.num_hidden_layers):
        for linear in sft_oracle.LINEARS:
            name = f"model.layers.{i}.{linear}"
            rows, columns = weights[f"{name}.weight"].shape
            f[f"{name}.lora_A.weight"] = (torch.rand(SETTINGS["lora_rank"], columns, generator=g) * 2 - 1) / columns**0.5
            f[f"{name}.lora_B.weight"] = 0.01 * torch.randn(rows, SETTINGS["lora_rank"], generator=g)
    # What a sampler with a slightly other rounding, here much exaggerated, would have reported.
    with torch.no_grad():
        policy = reply_logprobs(policy_of("lora", f, config, weights)[0], f)
    f["rollout_logprobs"] = policy + 0.3 * torch.randn(len(policy), generator=g)
    return f


def policy_of(method: str, f: dict, config, weights: dict) -> tuple[sft_oracle.Decoder, list[str]]:
    parameters = {name: value.clone() for name, value in weights.items()}
    trained = list(parameters)
    if method == "lora":
        trained = [name for name in f if ".lora_" in name]
        parameters |= {name: f[name].clone() for name in trained}
    for name in trained:
        parameters[name].requires_grad_(True)
    return sft_oracle.Decoder(config, parameters, SETTINGS["lora_alpha"] / SETTINGS["lora_rank"]), trained


def run_case(case: dict, f: dict, config, weights: dict) -> dict[str, torch.Tensor]:
    decoder, trained = policy_of(case["method"], f, config, weights)
    parameters = [decoder.p[name] for name in trained]
    optimiser = torch.optim.AdamW(
        parameters,
        lr=case["learning_rate"],
        betas=(SETTINGS["adam_beta1"], SETTINGS["adam_beta2"]),
        eps=SETTINGS["adam_epsilon"],
        weight_decay=0.0,
    )
    lengths = f["response_lengths"]
    with torch.no_grad():
        reference = reply_logprobs(sft_oracle.Decoder(config, weights, 0.0), f)
    advantages = spread_over_tokens(advantages_of(f["rewards"]).float(), lengths)
    golden: dict[str, list] = {"losses": [], "kls": [], "clipped": [], "grad_norms": []}
    gradients, old = {}, None
    for update in range(SETTINGS["updates"]):
        optimiser.zero_grad(set_to_none=True)
        logprobs = reply_logprobs(decoder, f)
        old = logprobs.detach() if old is None else old
        terms = {
            "logprobs": logprobs,
            "old": old,
            "reference": reference,
            "rollout": f["rollout_logprobs"],
            "advantages": advantages,
            "weights": reply_weights(lengths),
        }
        value = objective(terms, case["kl_kind"], case["importance"])
        if case["kl_kind"] == "k3" and not case["importance"]:
            torch.testing.assert_close(value["loss"], trl_loss(terms, lengths.tolist()))
        value["loss"].backward()
        if update == SETTINGS["updates"] - 1:
            gradients = {f"grad.{name}": decoder.p[name].grad.clone() for name in trained}
        golden["grad_norms"].append(torch.nn.utils.clip_grad_norm_(parameters, SETTINGS["clip_norm"]))
        golden["losses"].append(value["loss"].detach())
        golden["kls"].append(value["kl"].detach())
        golden["clipped"].append(value["clipped"].detach())
        optimiser.step()
    assert 0 < golden["clipped"][-1] < 1, "the clipping is not put to the test"
    return gradients | {name: torch.stack(values) for name, values in golden.items()}


def objective_alone() -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(7)
    lengths = torch.tensor([5, 1, 9, 4, 12, 8])
    count = int(lengths.sum())
    logprobs = -3.0 * torch.rand(count, generator=g)
    terms = {
        "logprobs": logprobs,
        "old": logprobs + 0.3 * torch.randn(count, generator=g),
        "reference": logprobs + 0.5 * torch.randn(count, generator=g),
        "rollout": logprobs + 0.6 * torch.randn(count, generator=g),
        "advantages": spread_over_tokens(torch.randn(len(lengths), generator=g), lengths),
        "weights": reply_weights(lengths),
    }
    golden = {f"terms.{name}": value for name, value in terms.items()}
    for kind in ("k1", "k2", "k3"):
        for importance in (False, True):
            wide = {name: value.double() for name, value in terms.items()}
            wide["logprobs"].requires_grad_(True)
            loss = objective(wide, kind, importance)["loss"]
            loss.backward()
            place = f"terms.{kind}.{'importance' if importance else 'plain'}"
            golden |= {f"{place}.loss": loss.detach()[None], f"{place}.grad": wide["logprobs"].grad}
    return golden


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=pathlib.Path, default=pathlib.Path("tests/model/golden/tiny_llama"))
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("tests/train/golden"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)

    config = transformers.AutoConfig.from_pretrained(args.base)
    weights = {name: value.float() for name, value in load_file(args.base / "model.safetensors").items()}
    sft_oracle.check_against_transformers(args.base, weights, config)
    f = make_fixture(config, weights)
    golden = f | {"advantages": advantages_of(f["rewards"])} | objective_alone()
    for name, case in CASES.items():
        results = run_case(case, f, config, weights)
        golden |= {f"{name}.{key}": value for key, value in results.items()}
        shown = {key: [round(x, 5) for x in results[key].tolist()] for key in ("losses", "kls", "clipped", "grad_norms")}
        print(name, shown)
    made_with = {"made_with": f"torch {torch.__version__}, transformers {transformers.__version__}"}
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "grpo_fixture.json").write_text(json.dumps(SETTINGS | {"cases": CASES}, indent=2) + "\n")
    save_file({k: v.contiguous() for k, v in golden.items()}, args.out / "grpo_golden.safetensors", metadata=made_with)


if __name__ == "__main__":
    main()
