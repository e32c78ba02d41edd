"""What transformers makes of an exported pair: greedy replies of the AV, vectors of the AR. Knows nothing of our loaders.

  .venv/bin/python tools/oracles/exported_pair.py --av DIR --ar DIR --input IN.json --out OUT.safetensors

IN.json: {"vectors": [[…], …], "texts": ["…", …], "max_new_tokens": N, "stop": "<|im_end|>"}

The AV is AutoModelForCausalLM in fp32: its prompt is the sidecar's template as one user turn, the marker's row of the
input embeddings is overwritten by v · injection_scale / ‖v‖, decoding is greedy from inputs_embeds. The AR is
AutoModelForCausalLM in fp32 with the identity for its final norm, read at the last token of its prompt, through the
matrix of value_head.safetensors. Written: ids.{i} int64 [n] without the stop token, vectors fp32 [texts, d].
"""

import argparse
import json
import pathlib

import torch
import yaml
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer


def load(directory):
    model, facts = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        left = {key for key in facts[kind] if key != "lm_head.weight"} if "ar" in str(directory.name) else facts[kind]
        assert not left, (directory, kind, left)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    meta = yaml.safe_load((directory / "nla_meta.yaml").read_text())
    return model.eval(), tokenizer, meta


@torch.no_grad()
def reply(model, tokenizer, meta, vector, max_new_tokens, stop):
    tokens = meta["tokens"]
    content = meta["prompt_templates"]["actor"].format(injection_char=tokens["injection_char"])
    chat = tokenizer.apply_chat_template([{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True)
    ids = tokenizer(chat, add_special_tokens=False)["input_ids"]
    sites = [
        i
        for i, token in enumerate(ids)
        if token == tokens["injection_token_id"]
        and ids[i - 1] == tokens["injection_left_neighbor_id"]
        and ids[i + 1] == tokens["injection_right_neighbor_id"]
    ]
    assert len(sites) == 1, (ids, tokens)
    rows = model.get_input_embeddings()(torch.tensor([ids])).clone()
    rows[0, sites[0]] = vector * (meta["extraction"]["injection_scale"] / vector.norm())
    stop_id = tokenizer.convert_tokens_to_ids(stop)
    written = []
    out = model(inputs_embeds=rows, use_cache=True)
    while len(written) < max_new_tokens:
        token = int(out.logits[0, -1].argmax())
        if token == stop_id:
            break
        written.append(token)
        out = model(input_ids=torch.tensor([[token]]), past_key_values=out.past_key_values, use_cache=True)
    return torch.tensor(written, dtype=torch.int64)


@torch.no_grad()
def reconstruct(model, head, tokenizer, meta, text):
    prompt = meta["prompt_templates"]["critic"].format(explanation=text)
    ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=True)["input_ids"]
    return head.float() @ model.model(ids, use_cache=False).last_hidden_state[0, -1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--av", type=pathlib.Path, required=True)
    parser.add_argument("--ar", type=pathlib.Path, required=True)
    parser.add_argument("--input", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    work = json.loads(arguments.input.read_text())
    tensors = {}
    model, tokenizer, meta = load(arguments.av)
    for i, vector in enumerate(work["vectors"]):
        tensors[f"ids.{i}"] = reply(model, tokenizer, meta, torch.tensor(vector), work["max_new_tokens"], work["stop"])
    model, tokenizer, meta = load(arguments.ar)
    assert model.config.num_hidden_layers == meta["critic"]["extraction_layer_index"] + 1
    model.model.norm = torch.nn.Identity()
    head = load_file(arguments.ar / "value_head.safetensors")["weight"]
    tensors["vectors"] = torch.stack([reconstruct(model, head, tokenizer, meta, text) for text in work["texts"]])
    save_file(tensors, arguments.out)


if __name__ == "__main__":
    main()
