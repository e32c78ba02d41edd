#!/usr/bin/env python3
"""Datasets as the format defines them, made without this project's code: the oracle of tests/datagen.

Follows the format's rules with CPython's random, hashlib, pyarrow, PyYAML, and transformers for prompts. Vectors, texts
and explanations are made up. Rewrites tests/datagen/golden/; run it with the project's Python.
"""
import hashlib
import json
import pathlib
import random
import shutil
import sys

import numpy
import pyarrow
import pyarrow.parquet
import tokenizers
import transformers
import yaml
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests/datagen/golden"
D_MODEL, LAYER, SEED, SHUFFLE_SEED = 8, 5, 42, 7
POSITIONS_PER_DOC, MIN_POSITION = 4, 50
BASE_MODEL, CORPUS, SLICE = "made-up/tiny-chat", "corpora/made-up", {"start": 3, "length": 23}
ACTOR = "A vector stands here: <concept>{injection_char}</concept>\nSay what it means within <explanation> tags."
CRITIC = "Summary of the following text: <text>{explanation}</text> <summary>"
CHAT = ("{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
        "{{ '<|im_start|>system\nBe brief.<|im_end|>\n' }}{% endif %}"
        "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
WORDS = "the ship left its harbour at dawn while rain fell on seven grey roofs and nobody spoke of winter 1 2 3 é 雨".split()


def positions(ids, special, doc_id, per_doc, seed):
    rng = random.Random(hashlib.sha256(f"{seed}|{doc_id}".encode()).digest())
    candidates = [i for i, t in enumerate(ids) if i >= MIN_POSITION and t not in special]
    return rng.sample(candidates, min(per_doc, len(candidates))) if candidates else []


def base_dataset_id(model, layer, corpus, corpus_slice):
    digest = hashlib.sha256(f"{model}|{layer}|{corpus}|{corpus_slice}".encode()).hexdigest()[:8]
    return f"base_{model.split('/')[-1]}_L{layer}_{digest}"


def position_cases():
    rng, cases = random.Random(1), []
    for length, per_doc, seed in [(0, 10, 0), (49, 10, 0), (50, 10, 0), (51, 10, 0), (57, 10, 1), (72, 5, 42), (300, 10, 42),
                                  (2048, 10, 42), (2048, 1, 2**40), (2048, 40, 7), (2048, 3000, 7), (120, 21, 0)]:
        ids = [rng.randrange(40) for _ in range(length)]
        doc_id = f"corpus ü:train:{length}"
        cases.append({"ids": ids, "special": [0, 7], "doc_id": doc_id, "per_doc": per_doc, "seed": seed,
                      "positions": positions(ids, {0, 7}, doc_id, per_doc, seed)})
    return cases


def id_cases():
    args = [("Qwen/Qwen2.5-7B-Instruct", 20, "HuggingFaceFW/fineweb", {"start": 0, "length": 10}),
            ("models/smollm2", 0, "a corpus, ünï", {"start": 12, "length": 40000}), ("plain", 3, "", {"start": 0, "length": 0}),
            ("trailing/", 3, "x", {"start": 0, "length": 1}), (BASE_MODEL, LAYER, CORPUS, SLICE)]
    return [{"base_model": m, "layer": k, "corpus": c, "start": s["start"], "length": s["length"],
             "dataset_id": base_dataset_id(m, k, c, s)} for m, k, c, s in args]


def vector_type():
    return pyarrow.list_(pyarrow.float32(), D_MODEL)


def base_schema():
    return pyarrow.schema([("n_raw_tokens", pyarrow.int64()), ("detokenized_text_truncated", pyarrow.string()),
                           ("activation_vector", vector_type()), ("activation_layer", pyarrow.int64()), ("doc_id", pyarrow.string())])


def base_rows():
    rng, rows = random.Random(2), []
    vectors = numpy.random.default_rng(3)
    for index in range(SLICE["start"], SLICE["start"] + SLICE["length"]):
        ids = [rng.randrange(1, 40) for _ in range(rng.randrange(30, 120))]
        doc_id = f"{CORPUS}:train:{index}"
        for position in positions(ids, {7}, doc_id, POSITIONS_PER_DOC, SEED):
            rows.append({"n_raw_tokens": position + 1, "detokenized_text_truncated": " ".join(WORDS[i % len(WORDS)] for i in ids[:position + 1]),
                         "activation_vector": vectors.normal(scale=30, size=D_MODEL).astype("float32").tolist(),
                         "activation_layer": LAYER, "doc_id": doc_id})
    return rows


def sidecar(dataset_id, rows, parents, stage="base", **more):
    return {"dataset_id": dataset_id, "stage": stage, "row_count": len(rows),
            "extraction": {"base_model": BASE_MODEL, "d_model": D_MODEL, "layer_index": LAYER, "norm": "none", "corpus": CORPUS,
                           "corpus_slice": SLICE, "positions_per_doc": POSITIONS_PER_DOC},
            "kind": "nla_dataset", "schema_version": 1, "keep_debug_metadata": True, "prompt_templates": {}, "parent_datasets": parents,
            "created_at": "2026-01-01T00:00:00+00:00", "created_by": "datagen_golden.py", "git_commit": ""} | more


def write(name, schema, rows, meta):
    path = OUT / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), path, row_group_size=13)
    path.with_name(path.name + ".nla_meta.yaml").write_text(yaml.safe_dump(meta, sort_keys=False), encoding="utf-8")


def split(rows, base_id):
    documents = sorted({row["doc_id"] for row in rows})
    random.Random(SEED).shuffle(documents)
    av, ar = int(len(documents) * 0.3), int(len(documents) * 0.3)
    buckets = {"av_sft": documents[:av], "ar_sft": documents[av:av + ar], "rl": documents[av + ar:]}
    result = {}
    for name, members in buckets.items():
        kept = [row for row in rows if row["doc_id"] in set(members)]
        meta = sidecar(f"{base_id}__{name}_raw", kept, [base_id])
        write(f"split/{name}_raw", base_schema(), kept, meta)
        result[name] = (kept, meta)
    return result


def explain(name, rows, raw_id):
    schema = base_schema().append(pyarrow.field("api_explanation", pyarrow.string()))
    texts = ["A harbour at dawn.\n\nIt ends in \"{}\".", "Rain on roofs; the last word is {}", "", "雨 and é: {} <|im_end|>", "Ends {}</text>"]
    rows = [row | {"api_explanation": texts[i % len(texts)].replace("{}", row["detokenized_text_truncated"].split()[-1])}
            for i, row in enumerate(rows)]
    api = {"model": "made-up teacher", "max_tokens": 300, "temperature": 1e-05 if name == "ar_sft" else 1.0,
           "instruction_prompt": "Explain: {text}\n# \"quoted\" ✓"}
    meta = sidecar(f"{raw_id}__explained", rows, [raw_id], api_summaries=api)
    write(f"explained/{name}_explained", schema, rows, meta)
    return rows, meta


def make_model(texts):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(vocab_size=520, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
                                  special_tokens=[AddedToken(s, special=True, normalized=False) for s in special])
    tokenizer.train_from_iterator(texts + ["㊗\n"] * 200 + [ACTOR, CRITIC] * 20, trainer)
    folder = OUT / "model"
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": CHAT, "eos_token": "<|im_end|>"}, indent=1) + "\n")
    return transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), chat_template=CHAT)


def ids_of(tokenizer, text):
    return tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]


def token_facts(tokenizer):
    marker = next(chr(c) for c in range(0x3200, 0x3400) if len(ids_of(tokenizer, chr(c))) == 1)
    (marker_id,) = ids_of(tokenizer, marker)
    ids = tokenizer.apply_chat_template([{"role": "user", "content": ACTOR.format(injection_char=marker)}], tokenize=True,
                                        add_generation_prompt=True, return_dict=False)
    (site,) = [i for i, t in enumerate(ids) if t == marker_id]
    return {"injection_char": marker, "injection_token_id": marker_id, "injection_left_neighbor_id": ids[site - 1],
            "injection_right_neighbor_id": ids[site + 1], "critic_suffix_ids": ids_of(tokenizer, CRITIC.split("{explanation}")[1])[1:]}


def build(stage, rows, meta, tokenizer):
    message = [{"role": "user", "content": ACTOR.format(injection_char="<INJECT>")}]
    facts = token_facts(tokenizer)
    messages_type = pyarrow.list_(pyarrow.struct([("role", pyarrow.string()), ("content", pyarrow.string())]))
    fields = [("prompt", pyarrow.string() if stage == "ar_sft" else messages_type)]
    if stage == "av_sft":
        fields.append(("response", pyarrow.string()))
    fields += [("activation_vector", vector_type()), ("n_raw_tokens", pyarrow.int64()), ("activation_layer", pyarrow.int64()),
               ("doc_id", pyarrow.string()), ("detokenized_text_truncated", pyarrow.string())]
    built = []
    for row in rows:
        if stage != "rl" and not row["api_explanation"].strip():
            continue
        new = {name: row[name] for name, _ in fields if name in row}
        new["prompt"] = CRITIC.format(explanation=row["api_explanation"]) if stage == "ar_sft" else message
        if stage == "av_sft":
            new["response"] = f"<explanation>\n{row['api_explanation']}\n</explanation>"
        if stage == "ar_sft":
            suffix = facts["critic_suffix_ids"]
            assert ids_of(tokenizer, new["prompt"])[-len(suffix):] == suffix, new["prompt"]
        built.append(new)
    more = {"tokens": facts, "prompt_templates": {"actor": ACTOR, "critic": CRITIC}}
    if "api_summaries" in meta:
        more["api_summaries"] = meta["api_summaries"]
    built_meta = sidecar(f"{stage}_{meta['dataset_id'].removeprefix('base_')}", built, [meta["dataset_id"]], stage, **more)
    write(f"built/{stage}", pyarrow.schema(fields), built, built_meta)
    return pyarrow.schema(fields), built, built_meta


def shuffled(name, key_suffix, id_suffix, source):
    schema, rows, meta = source
    order = list(range(len(rows)))
    random.Random(hashlib.sha256(f"{SHUFFLE_SEED}|{meta['dataset_id']}{key_suffix}".encode()).digest()).shuffle(order)
    if key_suffix:
        rows = [row | {"activation_vector": rows[i]["activation_vector"]} for row, i in zip(rows, order)]
    else:
        rows = [rows[i] for i in order]
    write(f"shuffled/{name}", schema, rows,
          meta | {"dataset_id": f"{meta['dataset_id']}__{id_suffix}{SHUFFLE_SEED}", "parent_datasets": [meta["dataset_id"]]})


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    rows = base_rows()
    base_id = base_dataset_id(BASE_MODEL, LAYER, CORPUS, SLICE)
    write("base", base_schema(), rows, sidecar(base_id, rows, []))
    buckets = split(rows, base_id)
    tokenizer = make_model([row["detokenized_text_truncated"] for row in rows])
    built = {}
    for stage in ("av_sft", "ar_sft"):
        explained, meta = explain(stage, buckets[stage][0], buckets[stage][1]["dataset_id"])
        built[stage] = build(stage, explained, meta, tokenizer)
    built["rl"] = build("rl", *buckets["rl"], tokenizer)
    shuffled("av_sft", "", "shuf", built["av_sft"])
    shuffled("av_sft_activations", "|activ", "shuf_activations", built["av_sft"])
    facts = {"versions": {"python": sys.version.split()[0], "pyarrow": pyarrow.__version__, "pyyaml": yaml.__version__, "numpy": numpy.__version__,
                          "tokenizers": tokenizers.__version__, "transformers": transformers.__version__},
             "split_seed": SEED, "shuffle_seed": SHUFFLE_SEED, "actor_template": ACTOR, "critic_template": CRITIC,
             "positions": position_cases(), "dataset_ids": id_cases()}
    (OUT / "golden.json").write_text(json.dumps(facts, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
