"""Ten seeded steps of supervised training on the tiny checkpoint, in plain PyTorch: the oracle for `train av` and `train ar`.

  .venv/bin/python tools/oracles/sft_oracle.py [--base tests/model/golden/tiny_llama] [--out tests/train/golden]

The decoder is written out here on its own (one sequence at a time: no padding, no cache, no shared prefix) and is held against
transformers before it is used. Everything runs in fp32 on one thread; the same run in fp64 gives `losses_fp64`, which shows how far
rounding alone moves a loss.

sft_fixture.json           the settings (see SETTINGS below)
sft_fixture.safetensors    the inputs: two batches of four rows; step s trains on batch s mod 2
  av.prompt_ids            [P]      int32   the same for every row; av.prompt_ids[site] is the marker
  av.vectors               [8, D]   fp32    raw activations of differing norms
  av.response_ids          [sum]    int32   the rows' responses end to end
  av.response_lengths      [8]      int32
  ar.prompt_ids            [sum]    int32   the rows' prompts end to end
  ar.prompt_lengths        [8]      int32
  ar.targets               [8, D]   fp32    raw activations of differing norms
  {linear}.lora_A.weight   [r, in]  fp32    adapter initialisation for all seven linears of each block; every lora_B starts at zero

sft_{av,ar}_{lora,full}.safetensors
  losses                   [10]     fp32    the loss of each step, before its update
  losses_fp64              [10]     fp64
  grad_norms               [10]     fp32    global L2 norm over all trainables, before clipping
  grad.{parameter}                  gradients of the first step, before clipping
  last_grad.{parameter}             (lora only) gradients of the tenth step: the first has zeros for every lora_A

AV loss: the sum of cross-entropy over all response tokens of the batch / their number; the first response token is predicted at the
prompt's last token. Injection: the embedding row at `site` is replaced by v * injection_scale / |v|.
AR: blocks 0..K without the final norm; value_head (identity at the start, always trained in full) at the prompt's last token; loss =
mean over rows of the mean over D of (p - g)^2 with p and g both scaled to norm sqrt(D).
LoRA: y = W x + (alpha / r) B A x. Full: every parameter in use, the tied embedding with both its uses.
"""

import argparse
import json
import pathlib

import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import load_file, save_file

SETTINGS = {
    "steps": 10,
    "batch": 4,
    "batches": 2,
    "site": 6,
    "injection_scale": 4.0,
    "ar_layer": 1,
    "lora_rank": 4,
    "lora_alpha": 8.0,
    "learning_rate": 1e-3,
    "adam_beta1": 0.9,
    "adam_beta2": 0.95,
    "adam_epsilon": 1e-8,
    "weight_decay": 0.0,
    "clip_norm": 1.0,
}
MARKER = 7
LINEARS = (
    *(f"self_attn.{p}_proj" for p in "qkvo"),
    *(f"mlp.{p}_proj" for p in ("gate", "up", "down")),
)


class Decoder:
    """The Llama maths over a dictionary of parameters, with an optional low-rank term beside every linear of a block."""

    def __init__(self, config, parameters: dict[str, torch.Tensor], lora_scale: float):
        self.c = config
        self.p = parameters
        self.lora_scale = lora_scale

    def linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        y = x @ self.p[f"{name}.weight"].T
        if f"{name}.lora_A.weight" in self.p:
            y = y + self.lora_scale * ((x @ self.p[f"{name}.lora_A.weight"].T) @ self.p[f"{name}.lora_B.weight"].T)
        return y

    def norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return self.p[f"{name}.weight"] * x / torch.sqrt(x.pow(2).mean(-1, keepdim=True) + self.c.rms_norm_eps)

    def rotate(self, x_THd: torch.Tensor) -> torch.Tensor:
        half = x_THd.shape[-1] // 2
        theta = self.c.rope_parameters["rope_theta"]
        inverse = theta ** (-torch.arange(half, dtype=torch.float64) / half)
        angle = torch.arange(x_THd.shape[0], dtype=torch.float64)[:, None, None] * inverse
        cos, sin = angle.cos().to(x_THd.dtype), angle.sin().to(x_THd.dtype)
        a, b = x_THd[..., :half], x_THd[..., half:]
        return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)

    def attention(self, prefix: str, x_TD: torch.Tensor) -> torch.Tensor:
        tokens, d = x_TD.shape[0], self.c.head_dim
        q = self.rotate(self.linear(f"{prefix}.q_proj", x_TD).view(tokens, -1, d))
        k = self.rotate(self.linear(f"{prefix}.k_proj", x_TD).view(tokens, -1, d))
        v = self.linear(f"{prefix}.v_proj", x_TD).view(tokens, -1, d)
        group = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        scores = torch.einsum("thd,shd->hts", q, k) / d**0.5
        future = torch.ones(tokens, tokens, dtype=torch.bool).triu(1)
        weights = scores.masked_fill(future, float("-inf")).softmax(-1)
        return self.linear(f"{prefix}.o_proj", torch.einsum("hts,shd->thd", weights, v).reshape(tokens, -1))

    def blocks(self, x_TD: torch.Tensor, count: int) -> torch.Tensor:
        for i in range(count):
            at = f"model.layers.{i}"
            x_TD = x_TD + self.attention(f"{at}.self_attn", self.norm(f"{at}.input_layernorm", x_TD))
            h = self.norm(f"{at}.post_attention_layernorm", x_TD)
            gated = F.silu(self.linear(f"{at}.mlp.gate_proj", h)) * self.linear(f"{at}.mlp.up_proj", h)
            x_TD = x_TD + self.linear(f"{at}.mlp.down_proj", gated)
        return x_TD

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        return self.p["model.embed_tokens.weight"][ids]

    def logits(self, x_TD: torch.Tensor) -> torch.Tensor:
        return self.norm("model.norm", x_TD) @ self.p["model.embed_tokens.weight"].T


def rows_of(flat: torch.Tensor, lengths: torch.Tensor) -> list[torch.Tensor]:
    return list(flat.long().split(lengths.tolist()))


def av_loss(decoder: Decoder, fixture: dict[str, torch.Tensor], rows: range) -> torch.Tensor:
    prompt = fixture["av.prompt_ids"].long()
    responses = rows_of(fixture["av.response_ids"], fixture["av.response_lengths"])
    site, scale = SETTINGS["site"], SETTINGS["injection_scale"]
    total, count = 0.0, 0
    for row in rows:
        response = responses[row]
        embedded = decoder.embed(torch.cat([prompt, response[:-1]]))
        v = fixture["av.vectors"][row].to(embedded.dtype)
        embedded = torch.cat([embedded[:site], (v * (scale / v.norm()))[None], embedded[site + 1 :]])
        hidden = decoder.blocks(embedded, decoder.c.num_hidden_layers)
        logits = decoder.logits(hidden[len(prompt) - 1 :])
        total = total + F.cross_entropy(logits, response, reduction="sum")
        count += len(response)
    return total / count


def ar_loss(decoder: Decoder, fixture: dict[str, torch.Tensor], rows: range) -> torch.Tensor:
    prompts = rows_of(fixture["ar.prompt_ids"], fixture["ar.prompt_lengths"])
    losses = []
    for row in rows:
        hidden = decoder.blocks(decoder.embed(prompts[row]), SETTINGS["ar_layer"] + 1)
        predicted = hidden[-1] @ decoder.p["value_head.weight"].T
        gold = fixture["ar.targets"][row].to(predicted.dtype)
        scale = len(gold) ** 0.5
        losses.append((predicted * (scale / predicted.norm()) - gold * (scale / gold.norm())).pow(2).mean())
    return torch.stack(losses).mean()


def make_fixture(config, shapes: dict[str, torch.Size]) -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(2024)
    rows, width, rank = SETTINGS["batches"] * SETTINGS["batch"], config.hidden_size, SETTINGS["lora_rank"]

    def ids(count: int) -> torch.Tensor:
        return torch.randint(8, config.vocab_size, (count,), generator=g, dtype=torch.int32)

    def vectors() -> torch.Tensor:
        norms = 2.0 + 60.0 * torch.rand(rows, 1, generator=g)
        return F.normalize(torch.randn(rows, width, generator=g)) * norms

    prompt = ids(12)
    prompt[SETTINGS["site"]] = MARKER
    response_lengths = torch.randint(3, 12, (rows,), generator=g, dtype=torch.int32)
    prompt_lengths = torch.randint(6, 19, (rows,), generator=g, dtype=torch.int32)
    fixture = {
        "av.prompt_ids": prompt,
        "av.vectors": vectors(),
        "av.response_ids": ids(int(response_lengths.sum())),
        "av.response_lengths": response_lengths,
        "ar.prompt_ids": ids(int(prompt_lengths.sum())),
        "ar.prompt_lengths": prompt_lengths,
        "ar.targets": vectors(),
    }
    for i in range(config.num_hidden_layers):
        for linear in LINEARS:
            name = f"model.layers.{i}.{linear}"
            fan_in = shapes[f"{name}.weight"][1]
            fixture[f"{name}.lora_A.weight"] = (torch.rand(rank, fan_in, generator=g) * 2 - 1) / fan_in**0.5
    return fixture


def parameters_for(role: str, method: str, weights: dict, fixture: dict, config, dtype) -> tuple[dict, list[str]]:
    """All parameters a run needs, and the names of those it trains."""
    blocks = SETTINGS["ar_layer"] + 1 if role == "ar" else config.num_hidden_layers

    def used(name: str) -> bool:
        if name.startswith("model.layers."):
            return int(name.split(".")[2]) < blocks
        return role == "av" or name != "model.norm.weight"

    parameters = {name: value.to(dtype) for name, value in weights.items() if used(name)}
    trained = list(parameters) if method == "full" else []
    if role == "ar":
        parameters["value_head.weight"] = torch.eye(config.hidden_size, dtype=dtype)
        trained.append("value_head.weight")
    if method == "lora":
        for name in [n for n in fixture if n.endswith(".lora_A.weight") and used(n)]:
            linear = name.removesuffix(".lora_A.weight")
            parameters[name] = fixture[name].to(dtype)
            out_features = weights[f"{linear}.weight"].shape[0]
            parameters[f"{linear}.lora_B.weight"] = torch.zeros(out_features, SETTINGS["lora_rank"], dtype=dtype)
            trained += [name, f"{linear}.lora_B.weight"]
    parameters = {name: value.clone().requires_grad_(name in trained) for name, value in parameters.items()}
    return parameters, trained


def run(role: str, method: str, weights: dict, fixture: dict, config, dtype) -> dict[str, torch.Tensor]:
    parameters, trained = parameters_for(role, method, weights, fixture, config, dtype)
    decoder = Decoder(config, parameters, SETTINGS["lora_alpha"] / SETTINGS["lora_rank"])
    optimiser = torch.optim.AdamW(
        [parameters[name] for name in trained],
        lr=SETTINGS["learning_rate"],
        betas=(SETTINGS["adam_beta1"], SETTINGS["adam_beta2"]),
        eps=SETTINGS["adam_epsilon"],
        weight_decay=SETTINGS["weight_decay"],
    )
    loss_of = {"av": av_loss, "ar": ar_loss}[role]
    losses, norms, golden = [], [], {}
    for step in range(SETTINGS["steps"]):
        optimiser.zero_grad(set_to_none=True)
        first = step % SETTINGS["batches"] * SETTINGS["batch"]
        loss = loss_of(decoder, fixture, range(first, first + SETTINGS["batch"]))
        loss.backward()
        if step == 0:
            golden |= {f"grad.{name}": parameters[name].grad.clone() for name in trained}
        if step == SETTINGS["steps"] - 1 and method == "lora":
            golden |= {f"last_grad.{name}": parameters[name].grad.clone() for name in trained}
        norms.append(torch.nn.utils.clip_grad_norm_([parameters[n] for n in trained], SETTINGS["clip_norm"]))
        optimiser.step()
        losses.append(loss.detach())
    return golden | {"losses": torch.stack(losses), "grad_norms": torch.stack(norms)}


def check_against_transformers(base: pathlib.Path, weights: dict, config) -> None:
    model = transformers.LlamaForCausalLM.from_pretrained(base, dtype=torch.float32, attn_implementation="eager").eval()
    ids = torch.arange(10, 40)
    decoder = Decoder(config, weights, 0.0)
    ours = decoder.logits(decoder.blocks(decoder.embed(ids), config.num_hidden_layers))
    with torch.no_grad():
        torch.testing.assert_close(ours, model(input_ids=ids[None]).logits[0], rtol=1e-4, atol=1e-4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=pathlib.Path, default=pathlib.Path("tests/model/golden/tiny_llama"))
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("tests/train/golden"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)

    config = transformers.AutoConfig.from_pretrained(args.base)
    weights = {name: value.float() for name, value in load_file(args.base / "model.safetensors").items()}
    check_against_transformers(args.base, weights, config)
    fixture = make_fixture(config, {name: value.shape for name, value in weights.items()})

    args.out.mkdir(parents=True, exist_ok=True)
    made_with = {"made_with": f"torch {torch.__version__}, transformers {transformers.__version__}"}
    (args.out / "sft_fixture.json").write_text(json.dumps(SETTINGS, indent=2) + "\n")
    save_file({k: v.contiguous() for k, v in fixture.items()}, args.out / "sft_fixture.safetensors", metadata=made_with)
    for role in ("av", "ar"):
        for method in ("lora", "full"):
            golden = run(role, method, weights, fixture, config, torch.float32)
            golden["losses_fp64"] = run(role, method, weights, fixture, config, torch.float64)["losses"]
            drift = ((golden["losses"] - golden["losses_fp64"]) / golden["losses_fp64"]).abs().max()
            save_file(golden, args.out / f"sft_{role}_{method}.safetensors", metadata=made_with)
            print(role, method, [round(x, 5) for x in golden["losses"].tolist()], f"largest rounding drift {drift:.1e}")


if __name__ == "__main__":
    main()
