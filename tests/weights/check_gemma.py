#!/usr/bin/env python3
"""Checks the converted Gemma-3-270M, and its way back to GGUF, against published files and the transformers package.

Usage: check_gemma.py PROGRAM GGUF DIRECTORY PUBLISHED_TOKENIZER.JSON
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import gguf
import tokenizers
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Gemma3ForCausalLM, PreTrainedTokenizerFast

TEXTS = ["The capital of France is Paris, isn't it?", "  two spaces,\ttabs\n\n\nand lines   ", "1234567 3.14 x²", "日本語 Größe naïve 🙂🏳️‍🌈",
         "<start_of_turn>user\nHi<end_of_turn>\n", "\u2581\u2581 signs", "<unused7><mask>[multimodal]<h1>", "\x00\x7f\ufeff", ""]


def check_tokenizer(directory: str, published_path: str) -> PreTrainedTokenizerFast:
    ours = json.loads((pathlib.Path(directory) / "tokenizer.json").read_text())
    published = json.loads(pathlib.Path(published_path).read_text())
    # The image token's id lies outside the text model's vocabulary.
    published["added_tokens"] = [token for token in published["added_tokens"] if token["content"] != "<image_soft_token>"]
    assert ours == published
    assert list(ours["model"]["vocab"]) == list(published["model"]["vocab"])
    tokenizer, theirs = AutoTokenizer.from_pretrained(directory), tokenizers.Tokenizer.from_file(published_path)
    for text in TEXTS:
        ids = theirs.encode(text).ids
        assert tokenizer(text).input_ids == ids, text
        assert tokenizer.decode(ids, skip_special_tokens=True) == theirs.decode(ids), text
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.unk_token, tokenizer.pad_token) == (
        "<bos>", "<eos>", "<unk>", "<pad>")
    return tokenizer


def check_model(path: pathlib.Path, directory: str, tokenizer: PreTrainedTokenizerFast) -> None:
    model, info = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, output_loading_info=True)
    assert type(model) is Gemma3ForCausalLM
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
    assert model.generation_config.eos_token_id == [1, 106]
    theirs = AutoModelForCausalLM.from_pretrained(str(path.parent), gguf_file=path.name, dtype=torch.float32)
    for name, values in theirs.state_dict().items():
        assert torch.equal(model.state_dict()[name], values.bfloat16().float()), name
    prompt = tokenizer("The capital of France is", return_tensors="pt")
    long = torch.tensor([tokenizer(pathlib.Path(__file__).read_text() * 2).input_ids[:600]])  # past the sliding window
    with torch.no_grad():
        # Values rounded to bf16 on one side: the same ids, and logits as close as that.
        for ids in (prompt.input_ids, long):
            ours, wanted = model(ids, logits_to_keep=64).logits, theirs(ids, logits_to_keep=64).logits
            assert (ours.argmax(-1) == wanted.argmax(-1)).float().mean() > 0.95
            assert (ours - wanted).abs().mean() < 0.1 * wanted.std(), (ours - wanted).abs().mean()
        made = model.generate(**prompt, max_new_tokens=8, do_sample=False)
        assert torch.equal(made, theirs.generate(**prompt, max_new_tokens=8, do_sample=False)), tokenizer.decode(made[0])


def check_way_back(program: str, path: pathlib.Path, directory: str) -> None:
    with tempfile.TemporaryDirectory() as work:
        out = pathlib.Path(work) / "back.gguf"
        subprocess.run([program, "convert", directory, str(out), "--type", "q8_0"], check=True, stdout=subprocess.DEVNULL)
        ours, published = gguf.GGUFReader(out), gguf.GGUFReader(path)
        own = {"general.name", "general.file_type"}
        absent = {"general.basename", "general.size_label", "general.license", "general.tags", "tokenizer.ggml.add_sep_token"}
        for key, field in published.fields.items():
            if key.startswith("GGUF.") or key in own | absent | {"tokenizer.ggml.token_type", "tokenizer.ggml.scores"}:
                continue
            assert ours.fields[key].contents() == field.contents(), key
        types, wanted_types = (file.fields["tokenizer.ggml.token_type"].contents() for file in (ours, published))
        tokens = published.fields["tokenizer.ggml.tokens"].contents()
        changed = {tokens[i] for i, (a, b) in enumerate(zip(types, wanted_types)) if a != b}
        assert changed <= {"<start_of_image>", "<end_of_image>"}, changed
        scores, wanted = (file.fields["tokenizer.ggml.scores"].contents() for file in (ours, published))
        # The scores of single characters only order them; the published ones skip some ranks.
        other = [(token, a, b) for token, a, b in zip(tokens, scores, wanted) if a != b and len(token) > 1]
        assert not other, other[:5]
        theirs = {tensor.name: tensor for tensor in published.tensors}
        assert {tensor.name for tensor in ours.tensors} == set(theirs)
        for tensor in ours.tensors:
            assert list(tensor.shape) == list(theirs[tensor.name].shape), tensor.name


def main() -> None:
    program, path, directory, published = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3], sys.argv[4]
    tokenizer = check_tokenizer(directory, published)
    check_way_back(program, path, directory)
    check_model(path, directory, tokenizer)


if __name__ == "__main__":
    main()
