#!/usr/bin/env python3
"""Converts a tiny model of every family to GGUF and back with `nla convert`, and asks others what they make of it.

Usage: check_families.py PROGRAM WORK_DIRECTORY [FAMILY...]
Models and tokenizers are made by transformers and tokenizers from a seed. For each: the gguf package reads every value of
the file, in all four types; transformers loads the GGUF file itself and computes the logits of the original; the way back
gives the tensors byte for byte, a config with the same logits, and a tokenizer with the same ids.
"""

import json
import pathlib
import subprocess
import sys
import traceback

import gguf
import numpy as np
import tokenizers
import torch
import transformers
from safetensors.torch import load_file
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers.convert_slow_tokenizer import generate_merges

LETTERS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
SPLITS = {
    "qwen2": rf"{CONTRACTIONS}|{LETTERS}|\p{{N}}|{REST}",
    "llama-bpe": rf"{CONTRACTIONS}|{LETTERS}|\p{{N}}{{1,3}}|{REST}",
}
TEXTS = ["The cat sat on the mat, and it'll stay there in 2024.", "Größe 12345  \n\n naïve café\t🙂 日本語",
         "<end>a<keep>b", "e\u0301 composed", " leading and trailing  ", ""]
TRAINING = [p.read_text(errors="ignore") for p in sorted(pathlib.Path(__file__).resolve().parents[2].glob("docs/*.md"))]
TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% endfor %}"


def byte_level(pre: str, bos: bool) -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer(models.BPE(ignore_merges=pre == "llama-bpe"))
    if pre == "smollm":
        steps = [pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(False)]
    else:
        split = pre_tokenizers.Split(tokenizers.Regex(SPLITS[pre]), "isolated")
        steps = [split, pre_tokenizers.ByteLevel(False, use_regex=False)]
    if pre == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<begin>", "<end>"], show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator(TRAINING, trainer)
    tokenizer.add_tokens([tokenizers.AddedToken("<keep>", normalized=False)])
    if bos:
        tokenizer.post_processor = begin_with("<begin>", 0)
    return tokenizer


def begin_with(token: str, number: int) -> processors.TemplateProcessing:
    return processors.TemplateProcessing(single=f"{token} $A", pair=f"{token} $A {token}:1 $B:1",
                                         special_tokens=[(token, number)])


def sentencepiece(prefix: bool) -> tokenizers.Tokenizer:
    """A vocabulary with scores as SentencePiece has it, with the merges that transformers' converter makes of them."""
    base = tokenizers.Tokenizer(models.BPE())
    base.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    base.train_from_iterator(TRAINING, trainers.BpeTrainer(vocab_size=300, show_progress=False))
    trained = json.loads(base.to_str())["model"]
    merged = ["".join(merge) for merge in trained["merges"]]
    specials = ["<unk>", "<begin>", "<end>", "<keep>"]
    singles = [piece for piece in trained["vocab"] if len(piece) == 1]
    pieces = [*specials, *(f"<0x{i:02X}>" for i in range(256)), *dict.fromkeys(merged), *singles]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    first = len(specials) + 256
    scores = {piece: float(first - i) if i >= first else 0.0 for piece, i in vocabulary.items()}
    tokenizer = tokenizers.Tokenizer(models.BPE(vocabulary, generate_merges(vocabulary, scores), unk_token="<unk>",
                                                fuse_unk=True, byte_fallback=True))
    replace = normalizers.Replace(" ", "\u2581")
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), replace]) if prefix else replace
    steps = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence(steps + [decoders.Strip(" ", 1, 0)] * prefix)
    tokenizer.add_special_tokens(specials[:3])
    tokenizer.add_tokens([tokenizers.AddedToken("<keep>", normalized=False)])
    tokenizer.post_processor = begin_with("<begin>", 1)
    return tokenizer


def small(config_class: type, vocabulary: int, **changes: object) -> transformers.PretrainedConfig:
    sizes = dict(vocab_size=vocabulary + 5, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
                 num_attention_heads=4, num_key_value_heads=2, head_dim=16, max_position_embeddings=256,
                 rms_norm_eps=1e-5, tie_word_embeddings=False, bos_token_id=0, eos_token_id=1, pad_token_id=None)
    return config_class(**(sizes | changes))


def cases() -> dict[str, tuple[tokenizers.Tokenizer, transformers.PretrainedConfig, str]]:
    bytes_llama, bytes_qwen, bytes_smol = byte_level("llama-bpe", True), byte_level("qwen2", False), byte_level("smollm", False)
    gemma, mistral = sentencepiece(False), sentencepiece(True)
    llama3 = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
              "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    rope = lambda theta, **more: {"rope_type": "default", "rope_theta": theta} | more  # noqa: E731
    size = lambda tokenizer: tokenizer.get_vocab_size()  # noqa: E731
    gemma_changes = dict(num_hidden_layers=7, num_key_value_heads=1, tie_word_embeddings=True, sliding_window=8,
                         query_pre_attn_scalar=16, bos_token_id=1, eos_token_id=[2, 3])
    return {
        "llama": (bytes_smol, small(transformers.LlamaConfig, size(bytes_smol), tie_word_embeddings=True), "llama"),
        "llama3": (bytes_llama, small(transformers.LlamaConfig, size(bytes_llama), rope_parameters=llama3), "llama"),
        "mistral": (mistral, small(transformers.MistralConfig, size(mistral), sliding_window=None, bos_token_id=1,
                                   eos_token_id=2, rope_parameters=rope(1e6)), "llama"),
        "qwen2": (bytes_qwen, small(transformers.Qwen2Config, size(bytes_qwen), rope_parameters=rope(1e6)), "qwen2"),
        "qwen3": (bytes_qwen, small(transformers.Qwen3Config, size(bytes_qwen), head_dim=32,
                                    rope_parameters=rope(1e6, rope_type="linear", factor=2.0)), "qwen3"),
        "gemma3": (gemma, small(transformers.Gemma3TextConfig, size(gemma), **gemma_changes), "gemma3"),
    }


def save_model(directory: pathlib.Path, tokenizer: tokenizers.Tokenizer, config: transformers.PretrainedConfig) -> None:
    torch.manual_seed(len(directory.name))
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    for name, values in model.named_parameters():
        # bf16 values of a size that survives 1 added, so that every way round is exact
        values.data = torch.where(values.abs() < 2e-3, 0.25, torch.randn_like(values) * 0.3).bfloat16().float()
        values.data[values.abs() < 2e-3] = 0.5
    model.save_pretrained(directory)
    bos, eos = config.bos_token_id, config.eos_token_id
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=tokenizer.id_to_token(bos), chat_template=TEMPLATE,
        eos_token=tokenizer.id_to_token(eos if isinstance(eos, int) else eos[0]))
    fast.save_pretrained(directory)
    tokenizer.save(str(directory / "tokenizer.json"))


def twist(name: str, values: np.ndarray, config: transformers.PretrainedConfig) -> np.ndarray:
    """What llama.cpp's converter does to a tensor."""
    if config.model_type in ("llama", "mistral") and name.endswith(("attn_q.weight", "attn_k.weight")):
        heads = config.num_attention_heads if "attn_q" in name else config.num_key_value_heads
        return values.reshape(heads, 2, -1, values.shape[1]).swapaxes(1, 2).reshape(values.shape)
    return values + 1 if config.model_type == "gemma3_text" and "norm" in name else values


def check_file(path: pathlib.Path, kind: str, tensors: dict, config: transformers.PretrainedConfig) -> None:
    """Every tensor is there, under the name that the gguf package has for it, quantised as that package does."""
    reader = gguf.GGUFReader(path)
    architecture = {str(name): key for key, name in gguf.MODEL_ARCH_NAMES.items()}[
        reader.fields["general.architecture"].contents()]
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    stored = {tensor.name: tensor for tensor in reader.tensors}
    assert stored.pop("rope_freqs.weight", None) is None or config.rope_parameters["rope_type"] == "llama3"
    types = {"f32": "F32", "f16": "F16", "bf16": "BF16", "q8_0": "Q8_0"}
    for name, values in tensors.items():
        ours = names.get_name(name, try_suffixes=(".weight", ".bias"))
        tensor = stored.pop(ours)
        wanted_type = gguf.GGMLQuantizationType[types[kind] if values.ndim == 2 else "F32"]
        assert tensor.tensor_type == wanted_type, (ours, tensor.tensor_type)
        wanted = gguf.quants.quantize(np.ascontiguousarray(twist(ours, values.float().numpy(), config)), wanted_type)
        assert tensor.data.tobytes() == wanted.tobytes(), (kind, ours)
    assert not stored, list(stored)


def logits(model: torch.nn.Module) -> torch.Tensor:
    ids = torch.arange(40).reshape(2, 20) * 7 % 300
    with torch.no_grad():
        return model(ids).logits


def check_tokenizers(ours: pathlib.Path, original: tokenizers.Tokenizer) -> None:
    again = tokenizers.Tokenizer.from_file(str(ours / "tokenizer.json"))
    for text in TEXTS + TRAINING:
        assert again.encode(text).ids == original.encode(text).ids, text[:80]
        ids = original.encode(text).ids
        assert again.decode(ids) == original.decode(ids), text[:80]
    config = json.loads((ours / "tokenizer_config.json").read_text())
    assert config["chat_template"] == TEMPLATE


def check_case(name: str, program: str, work: pathlib.Path) -> None:
    tokenizer, config, architecture = cases()[name]
    start, back = work / name, work / f"{name}-back"
    save_model(start, tokenizer, config)
    convert = lambda *arguments: subprocess.run([program, "convert", *map(str, arguments)], check=True,  # noqa: E731
                                                stdout=subprocess.DEVNULL)
    tensors = load_file(start / "model.safetensors")
    for kind in ("f32", "f16", "bf16", "q8_0"):
        convert(start, work / f"{name}.{kind}.gguf", "--type", kind)
        check_file(work / f"{name}.{kind}.gguf", kind, tensors, config)
    reader = gguf.GGUFReader(work / f"{name}.f32.gguf")
    assert reader.fields["general.architecture"].contents() == architecture
    for kind in ("f32", "bf16"):
        convert(work / f"{name}.{kind}.gguf", back, "--type", "f32", "--replace", "--shard-size", "50KB")
        shards = sorted(back.glob("model-*.safetensors"))
        assert len(shards) > 1
        again = {key: value for shard in shards for key, value in load_file(shard).items()}
        assert again.keys() == tensors.keys()
        assert all(torch.equal(again[key], tensors[key]) for key in tensors)
        index = json.loads((back / "model.safetensors.index.json").read_text())
        assert index["metadata"]["total_size"] == sum(value.nbytes for value in again.values())
    wanted = logits(transformers.AutoModelForCausalLM.from_pretrained(start, dtype=torch.float32))
    model = transformers.AutoModelForCausalLM.from_pretrained(back, dtype=torch.float32)
    torch.testing.assert_close(logits(model), wanted, rtol=1e-5, atol=1e-5)
    assert model.generation_config.eos_token_id == config.eos_token_id
    # transformers knows neither Llama 3's factors nor rope scaling in GGUF files, and takes a name like Mistral's for an
    # architecture that the gguf package does not have.
    if name not in ("llama3", "qwen3", "mistral"):
        # Nor does it read of a file that Gemma's query_pre_attn_scalar is the width of a head.
        known = {"config": config} if name == "gemma3" else {}
        theirs = transformers.AutoModelForCausalLM.from_pretrained(work, gguf_file=f"{name}.f32.gguf",
                                                                   dtype=torch.float32, **known)
        torch.testing.assert_close(logits(theirs), wanted, rtol=1e-4, atol=1e-4)
    check_tokenizers(back, tokenizer)
    print(f"{name}: as it was")


def main() -> None:
    program, work = sys.argv[1], pathlib.Path(sys.argv[2])
    failed = []
    for name in sys.argv[3:] or cases():
        try:
            check_case(name, program, work)
        except Exception:  # the other families' answers are worth having too
            failed.append(name)
            traceback.print_exc()
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
