"""Reads DIR/nla_meta.yaml as other tools do (yaml.safe_load) and checks what formats.md section 2 demands of it.

Independent of the C++ reader: nothing here knows how the file was written. Prints "ok", or says what is wrong and exits 1.
"""
import math
import sys

import yaml


def main(directory):
    with open(f"{directory}/nla_meta.yaml", encoding="utf-8") as file:
        meta = yaml.safe_load(file)
    assert meta["kind"] == "nla_model" and meta["schema_version"] == 2
    assert meta["role"] in ("actor", "critic"), meta["role"]
    assert type(meta["d_model"]) is int
    extraction = meta["extraction"]
    assert type(extraction["mse_scale"]) is float and math.isclose(extraction["mse_scale"], meta["d_model"] ** 0.5)
    if meta["role"] == "actor":
        assert type(extraction["injection_scale"]) is float, extraction
    else:
        assert extraction["injection_scale"] is None, extraction
    tokens = meta["tokens"]
    assert isinstance(tokens["injection_char"], str) and len(tokens["injection_char"]) == 1
    for key in ("injection_token_id", "injection_left_neighbor_id", "injection_right_neighbor_id"):
        assert type(tokens[key]) is int, (key, tokens[key])
    assert tokens["critic_suffix_ids"] is None or all(type(i) is int for i in tokens["critic_suffix_ids"])
    templates = meta["prompt_templates"]
    assert templates["actor"].format(injection_char="X").count("X") >= 1
    assert "{explanation}" in templates["critic"]
    assert type(meta["critic"]["extraction_layer_index"]) is int
    for key in ("trained_on", "parent_checkpoints"):
        assert all(isinstance(item, str) for item in meta[key]), meta[key]
    for key in ("stage", "base_checkpoint", "created_at", "created_by"):
        assert isinstance(meta[key], str) and meta[key], key
    assert type(meta["training"]["learning_rate"]) is float, meta["training"]
    assert meta["nla_cpp"]["injection_rule"] in ("replace", "add")
    print("ok")


if __name__ == "__main__":
    main(sys.argv[1])
