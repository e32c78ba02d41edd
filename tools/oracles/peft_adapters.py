"""Adapters as peft reads and writes them, on a tiny checkpoint.

  .venv/bin/python tools/oracles/peft_adapters.py read  --base DIR --adapters DIR --out OUT.safetensors
  .venv/bin/python tools/oracles/peft_adapters.py write --base DIR --adapters DIR --out OUT.safetensors [--targets q_proj,v_proj]

`read` lays an existing adapter directory over the base with PeftModel. `write` lets peft make one, with random factors on
the targets, and saves it with save_pretrained. Both write the fp32 logits of fixed ids: ids int64 [n], logits fp32 [n, V].
"""

import argparse

import peft
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

IDS = [5, 250, 17, 99, 3, 120, 44, 45]


def make(base, targets):
    config = peft.LoraConfig(r=3, lora_alpha=7, target_modules=targets, task_type="CAUSAL_LM")
    model = peft.get_peft_model(base, config)
    generator = torch.Generator().manual_seed(4)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = 0.2 * torch.randn(parameter.shape, generator=generator)
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=["read", "write"])
    parser.add_argument("--base", required=True)
    parser.add_argument("--adapters", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--targets", default="q_proj,v_proj")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    base = AutoModelForCausalLM.from_pretrained(arguments.base, dtype=torch.float32)
    if arguments.mode == "read":
        model = peft.PeftModel.from_pretrained(base, arguments.adapters)
    else:
        model = make(base, arguments.targets.split(","))
        model.save_pretrained(arguments.adapters)
    with torch.no_grad():
        logits = model.eval()(torch.tensor([IDS])).logits[0]
    save_file({"ids": torch.tensor(IDS, dtype=torch.int32), "logits": logits.float().contiguous()}, arguments.out)


if __name__ == "__main__":
    main()
