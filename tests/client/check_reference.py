"""The reference's own client and critic, unmodified, on our server and our merged checkpoints.

  check_reference.py --reference DIR --nla PROGRAM --pair PAIR [--base DIR] --activations FILE.parquet [--rows N] [--tokens N]

DIR is a checkout of the reference repository (nla_inference.py is in it). PAIR is merged to whole checkpoints, its
verbalizer served; NLAClient asks for greedy replies, which must be those of `nla verbalize`, and NLACritic rebuilds
vectors, which must be those of `nla reconstruct`. Needs a transformers that the reference is written for (before 5) and
orjson, and a pair whose embeddings are bf16 numbers, since the client rounds them to such. Prints what it found, and "all
equal" when all is.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ARGUMENTS = argparse.ArgumentParser()
for name in ("reference", "nla", "pair", "activations"):
    ARGUMENTS.add_argument("--" + name, required=True)
ARGUMENTS.add_argument("--base")
ARGUMENTS.add_argument("--rows", type=int, default=16)
ARGUMENTS.add_argument("--tokens", type=int, default=60)
ASKED = ARGUMENTS.parse_args()
sys.path.insert(0, ASKED.reference)

import nla_inference  # noqa: E402
import numpy as np  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
import torch  # noqa: E402


def nla(*words):
    run = subprocess.run([ASKED.nla, *words, "--json", "--log-level", "warn"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return json.loads(run.stdout)


def read_vectors():
    column = pq.read_table(ASKED.activations)["activation_vector"].slice(0, ASKED.rows)
    return np.asarray(column.to_pylist(), dtype=np.float32)


def check_client(av, vectors):
    here = nla("verbalize", "--av", av, "--activations", ASKED.activations, "--limit", str(ASKED.rows), "--dtype", "fp32",
               "--max-new-tokens", str(ASKED.tokens), "--force")["rows"]  # fmt: skip
    serve = [ASKED.nla, "serve", "--av", av, "--dtype", "fp32", "--port", "0", "--json", "--log-level", "warn"]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server:
        try:
            url = json.loads(server.stdout.readline())["url"]
            client = nla_inference.NLAClient(av, sglang_url=url)
            sampling = {"temperature": 0.0, "max_new_tokens": ASKED.tokens}
            equal = explained = 0
            for row, vector in zip(here, vectors, strict=True):
                raw = client.generate(vector, extract_explanation=False, **sampling)
                equal += raw == row["raw"]
                if raw != row["raw"]:
                    print(f"row {row['index']}: the reference's client has {raw!r}, verbalize {row['raw']!r}")
                if row["explanation"] is not None:
                    explained += client.generate(vector, **sampling) == row["explanation"]
            batch = client.generate_batch(vectors[:2], extract_explanation=False, **sampling)
            assert batch == [row["raw"] for row in here[:2]]
        finally:
            server.terminate()
    with_tags = sum(row["explanation"] is not None for row in here)
    print(f"NLAClient: {equal} of {len(here)} replies equal, {explained} of {with_tags} explanations equal")
    return equal == len(here) and explained == with_tags, [row["explanation"] or row["raw"] for row in here]


def check_critic(ar, texts, vectors, folder):
    lines = folder / "texts.jsonl"
    lines.write_text("".join(json.dumps({"explanation": text}) + "\n" for text in texts))
    out = folder / "vectors.npy"
    nla("reconstruct", "--ar", ar, "--input", str(lines), "--out", str(out), "--dtype", "fp32")
    ours = torch.from_numpy(np.load(out))
    critic = nla_inference.NLACritic(ar, dtype=torch.float32)
    theirs = torch.stack([critic.reconstruct(text) for text in texts])
    cosine = torch.nn.functional.cosine_similarity(ours, theirs).min().item()
    norms = (ours.norm(dim=1) / theirs.norm(dim=1) - 1).abs().max().item()
    mse, _ = critic.score(texts[0], vectors[0])
    print(f"NLACritic: {len(texts)} vectors, least cosine {cosine:.7f}, norms within {norms:.1e}, mse of the first {mse:.4f}")
    return cosine > 0.99999 and norms < 1e-3


with tempfile.TemporaryDirectory() as place:
    whole = pathlib.Path(place) / "whole"
    nla("merge", ASKED.pair, str(whole), *(["--base", ASKED.base] if ASKED.base else []))
    activations = read_vectors()
    same_replies, explanations = check_client(str(whole / "av"), activations)
    same_vectors = check_critic(str(whole / "ar"), explanations, activations, pathlib.Path(place))
print("all equal" if same_replies and same_vectors else "not all equal")
sys.exit(0 if same_replies and same_vectors else 1)
