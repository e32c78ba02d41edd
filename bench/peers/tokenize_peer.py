"""The peer that `nla bench tokenize` is timed against: the `tokenizers` library on one thread.

All documents are encoded once before the clock starts, then once by encode_batch_fast (ids alone) and once by encode_batch (with
offsets), special tokens' spellings staying text as in nla.

  tokenize_peer.py --model DIR --corpus FILE.jsonl [--documents 1000]
"""

import argparse
import json
import pathlib
import time

import peer_common


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, required=True, help="tokenizer.json or its directory")
    parser.add_argument("--corpus", required=True, help='{"text": "..."} lines')
    parser.add_argument("--documents", type=int, default=1000)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    peer_common.limit_threads(1)
    import tokenizers

    with open(args.corpus, encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for _, line in zip(range(args.documents), lines)]
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    path = args.model / "tokenizer.json" if args.model.is_dir() else args.model
    tokenizer = tokenizers.Tokenizer.from_file(str(path))
    tokenizer.encode_special_tokens = True

    def rate(encode) -> float:
        started = time.perf_counter()
        encode(texts)
        return megabytes / (time.perf_counter() - started)

    tokens = sum(len(encoding.ids) for encoding in tokenizer.encode_batch_fast(texts))
    peer_common.report(
        {
            "ids_mb_per_second": rate(tokenizer.encode_batch_fast),
            "offsets_mb_per_second": rate(tokenizer.encode_batch),
            "tokens": tokens,
            "megabytes": megabytes,
            "documents": len(texts),
            "tokenizers": tokenizers.__version__,
        }
    )


if __name__ == "__main__":
    main()
