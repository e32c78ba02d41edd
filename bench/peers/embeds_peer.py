"""The peer that `nla bench embeds` is timed against: what a Python server does with a body before it can look at the rows.

json.loads of the body, then torch.tensor of its input_embeds. SGLang's validation of the lists comes on top of that.

  embeds_peer.py --rows 125 --width 3584 [--requests 40]
"""

import argparse
import json
import statistics
import time

import peer_common


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--requests", type=int, default=40)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    peer_common.limit_threads(1)
    import torch

    activation = torch.rand(args.width) * 0.1 - 0.05
    rows = (torch.rand(args.rows, args.width) * 0.1 - 0.05).to(torch.bfloat16).float()
    rows[args.rows // 2] = activation
    body = json.dumps({"sampling_params": {"max_new_tokens": 1}, "input_embeds": rows.tolist()}).encode()
    milliseconds = []
    for _ in range(args.requests):
        started = time.perf_counter()
        torch.tensor(json.loads(body)["input_embeds"], dtype=torch.float32)
        milliseconds.append(1000 * (time.perf_counter() - started))
    peer_common.report({"milliseconds": statistics.median(milliseconds), "body_bytes": len(body), "torch": torch.__version__})


if __name__ == "__main__":
    main()
