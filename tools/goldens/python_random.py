"""Writes tests/base/golden/python_random.json: what CPython's random.Random answers, for the C++ port to match.

Run: python tools/goldens/python_random.py
"""

import hashlib
import json
import pathlib
import platform
import random

INT_SEEDS = [0, 1, 42, 2**31, 2**32 - 1, 2**32, 12345678901234567890, 2**64 - 1]
BYTE_SEEDS = [
    b"",
    b"a",
    b"\x00\x00\x00\x00\x01",
    hashlib.sha256(b"42|corpus:train:0").digest(),
    bytes(range(256)),
    b"x" * 2600,
]
# (population, sample size): below, at and above the size where sample() leaves the pool for a set.
SAMPLES = [
    *[(1, 1), (5, 5), (21, 3), (22, 3), (21, 5), (22, 5), (85, 6), (86, 6), (85, 21), (86, 21), (277, 22), (278, 22)],
    *[(277, 85), (278, 85), (1045, 86), (1046, 86), (1000, 10), (300000, 50), (5_000_000_000, 8), (40, 0)],
]
SHUFFLES = [0, 1, 2, 10, 1000]
BITS = [1, 7, 31, 32, 33, 53, 63, 64]


def answers(seed):
    """Draws in a fixed order from one generator, so that the state after each call is checked too."""
    rng = random.Random(seed)
    drawn = {
        "bits": [str(rng.getrandbits(bits)) for bits in BITS],
        "random": [rng.random().hex() for _ in range(3)],
        "below": [str(rng._randbelow(n)) for n in (1, 2, 10, 2**32, 2**32 + 1, 2**63)],
        "samples": [rng.sample(range(n), k) for n, k in SAMPLES],
        "shuffles": [],
    }
    for size in SHUFFLES:
        items = list(range(size))
        rng.shuffle(items)
        # A thousand numbers would bloat the file: their digest says the same.
        digest = hashlib.sha256(",".join(map(str, items)).encode()).hexdigest()
        drawn["shuffles"].append(digest if size > 10 else items)
    for _ in range(1300):  # past two refills of the state
        last = rng.getrandbits(32)
    drawn["last"] = last
    return drawn


def main():
    golden = {
        "made_by": f"tools/goldens/python_random.py, {platform.python_implementation()} {platform.python_version()}",
        "bits": BITS,
        "samples": SAMPLES,
        "shuffles": SHUFFLES,
        "int_seeds": [{"seed": str(seed), **answers(seed)} for seed in INT_SEEDS],
        "byte_seeds": [{"seed_hex": seed.hex(), **answers(seed)} for seed in BYTE_SEEDS],
    }
    root = pathlib.Path(__file__).resolve().parents[2]
    path = root / "tests" / "base" / "golden" / "python_random.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
