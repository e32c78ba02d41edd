"""What transformers predicts on pages of text, for the slow test that compares every next token of a real model.

  .venv/bin/python tools/oracles/next_tokens.py --model DIR --out FILE.safetensors [--pages 20] [--bf16-pages 1] [--max-tokens 1100]

The pages are the passages of demo/heldout.parquet, seven a page. DIR is a Hugging Face directory (as `nla convert` writes it).
Fields of the output, fp32 where not said otherwise:

  page{i}.ids            [T]      int32, with the tokenizer's special tokens
  page{i}.top1           [T - 1]  int32, the likeliest next token after each prefix
  page{i}.logprob        [T - 1]  log-probability of the token that follows
  page{i}.bf16.top1, .logprob     the same by the model in bf16, of the first --bf16-pages pages
"""

import argparse
import pathlib

import pyarrow.parquet
import torch
import transformers
from safetensors.torch import save_file

PASSAGES_A_PAGE = 7
CHUNK = 128


def read_pages(count: int) -> list[str]:
    table = pyarrow.parquet.read_table("demo/heldout.parquet", columns=["doc_id", "detokenized_text_truncated"])
    longest: dict[str, str] = {}
    for row in table.to_pylist():
        text = row["detokenized_text_truncated"]
        if len(text) > len(longest.get(row["doc_id"], "")):
            longest[row["doc_id"]] = text
    passages = list(longest.values())
    return ["\n\n".join(passages[i * PASSAGES_A_PAGE : (i + 1) * PASSAGES_A_PAGE]) for i in range(count)]


@torch.no_grad()
def predict(model, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    hidden = model.model(input_ids=ids[None], use_cache=False).last_hidden_state[0]
    top1, logprobs = [], []
    for begin in range(0, len(ids) - 1, CHUNK):
        end = min(begin + CHUNK, len(ids) - 1)
        logits = model.lm_head(hidden[begin:end]).float()
        top1.append(logits.argmax(-1))
        logprobs.append(logits.log_softmax(-1).gather(1, ids[begin + 1 : end + 1, None])[:, 0])
    return {"top1": torch.cat(top1).to(torch.int32), "logprob": torch.cat(logprobs)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--pages", type=int, default=20)
    parser.add_argument("--bf16-pages", type=int, default=1)
    parser.add_argument("--max-tokens", type=int, default=1100)
    args = parser.parse_args()
    tokenizer = transformers.AutoTokenizer.from_pretrained(args.model)
    load = transformers.AutoModelForCausalLM.from_pretrained
    model = load(args.model, dtype=torch.float32, attn_implementation="eager").eval()
    half = load(args.model, dtype=torch.bfloat16, attn_implementation="eager").eval()
    out = {}
    for i, page in enumerate(read_pages(args.pages)):
        ids = torch.tensor(tokenizer(page)["input_ids"][: args.max_tokens])
        out[f"page{i}.ids"] = ids.to(torch.int32)
        out |= {f"page{i}.{name}": value for name, value in predict(model, ids).items()}
        if i < args.bf16_pages:
            out |= {f"page{i}.bf16.{name}": value for name, value in predict(half, ids).items()}
    made_with = {"made_with": f"torch {torch.__version__}, transformers {transformers.__version__}"}
    save_file({name: value.contiguous() for name, value in out.items()}, args.out, metadata=made_with)


if __name__ == "__main__":
    main()
