"""Seeds for tests/fuzz: small sound files of every format, from the tools that write them and from this project's goldens.

Usage: .venv/bin/python tools/goldens/fuzz_corpus.py
"""

import io
import json
import pathlib
import shutil

import gguf
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors.numpy

ROOT = pathlib.Path(__file__).resolve().parents[2]
CORPUS = ROOT / "tests/fuzz/corpus"
ACTIVATIONS = ROOT / "tests/data/golden/activations"


def put(target, name, data):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def copy(target, source, name=None):
    put(target, name or pathlib.Path(source).name, pathlib.Path(source).read_bytes())


def activations():
    for name in ("f2_big_fortran.npy", "f4_little_c.npy", "v3.npy", "one_row.npy"):
        copy("npy", ACTIVATIONS / name)
    for name in ("deflated.npz", "zip64.npz"):
        copy("npz", ACTIVATIONS / name)
    stored = io.BytesIO()
    np.savez(stored, acts=np.ones((2, 3), dtype="<f4"))
    put("npz", "stored.npz", stored.getvalue())
    copy("jsonl", ACTIVATIONS / "arrays.jsonl")
    put("jsonl", "objects.jsonl", '{"doc_id": "d", "activation_vector": [1, -2.5e3], "activation_layer": 3}\n'
                                  '{"activation_vector": [0.25, 4], "api_explanation": "\\u00e9 \\ud83d\\ude00"}\r\n\n')


def parquet():
    def write(name, column, **options):
        out = io.BytesIO()
        table = pa.table({"activation_vector": column, "doc_id": ["a", None, "c"][: len(column)]})
        pq.write_table(table, out, **options)
        put("parquet", name, out.getvalue())

    rows = [[1.0, 2.5], [-3.0, 4.0], [0.5, 6.0]]
    write("fixed.parquet", pa.array(rows, pa.list_(pa.float32(), 2)), compression="zstd")
    write("list.parquet", pa.array(rows, pa.list_(pa.float64())), compression="none", row_group_size=2)


def safetensors_files():
    copy("safetensors", ROOT / "tests/weights/golden/dtypes.safetensors")
    tensors = {"b": np.ones((2, 3), np.float32), "a": np.zeros(0, np.float16)}
    put("safetensors", "two.safetensors", safetensors.numpy.save(tensors, {"format": "pt"}))


def gguf_files():
    path = CORPUS / "gguf/small.gguf"
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("small")
    writer.add_uint32("llama.block_count", 1)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    writer.add_token_list(["a", "b", "</s>"])
    writer.add_tensor("token_embd.weight", np.ones((3, 4), np.float32))
    for kind in ("BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q3_K", "Q4_K", "Q6_K", "IQ4_NL"):
        kind = gguf.GGMLQuantizationType[kind]
        bytes_per_block = gguf.GGML_QUANT_SIZES[kind][1]
        block = (np.arange(bytes_per_block) % 60).astype(np.uint8).reshape(1, -1)
        writer.add_tensor(f"{kind.name}.weight", block, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def tokenizers():
    """A line of text, then a tokenizer.json."""
    letters = ["a", "b", "c", "Ġ", "Ċ", "ab", "Ġa", "abc"]
    byte_level = {
        "version": "1.0",
        "added_tokens": [{"id": 8, "content": "<s>", "single_word": False, "lstrip": False, "rstrip": True,
                          "normalized": False, "special": True}],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                  "vocab": {token: i for i, token in enumerate(letters)}, "merges": [["a", "b"], ["Ġ", "a"], ["ab", "c"]]},
    }
    put("tokenizer", "byte_level", "ab c<s> abc é\n" + json.dumps(byte_level, ensure_ascii=False))
    tiny = json.loads((ROOT / "tests/model/golden/tiny_tokenizer/tokenizer.json").read_text())
    put("tokenizer", "tiny", "the <|im_end|>ship 12\n" + json.dumps(tiny, ensure_ascii=False))


def texts():
    for name in ("plain_chatml.jinja", "spaced_chatml.jinja"):
        copy("chat_template", ROOT / "tests/text/golden" / name)
    smollm = json.loads((ROOT / "tests/text/golden/tokenizer_config.json").read_text())["chat_template"]
    put("chat_template", "smollm2.jinja", smollm)
    for role in ("av", "ar"):
        copy("model_sidecar", ROOT / "demo/pair" / role / "nla_meta.yaml", role + ".yaml")
    put("model_sidecar", "v1.yaml", "kind: nla_model\nschema_version: 1\nrole: ar\nstage: ar_sft\nbase_checkpoint: x/y\n"
        "d_model: 8\nextraction: {injection_scale: null, mse_scale: sqrt_d_model}\nprompt_templates:\n"
        "  ar: \"a {explanation} b\"\nar: {num_hidden_layers: 3}\n")
    golden = ROOT / "tests/datagen/golden"
    copy("dataset_sidecar", golden / "base.parquet.nla_meta.yaml", "base.yaml")
    copy("dataset_sidecar", golden / "built/ar_sft.parquet.nla_meta.yaml", "ar_sft.yaml")
    copy("dataset_sidecar", ROOT / "demo/heldout.parquet.nla_meta.yaml", "heldout.yaml")


def main():
    shutil.rmtree(CORPUS, ignore_errors=True)
    for make in (activations, parquet, safetensors_files, gguf_files, tokenizers, texts):
        make()


if __name__ == "__main__":
    main()
