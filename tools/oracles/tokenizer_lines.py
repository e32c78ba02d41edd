#!/usr/bin/env python3
"""Asks the `tokenizers` library about many lines of text and writes its answers to standard output, for tests/text.

  tokenizer_lines.py DIR COUNT [--seed N]       DIR holds tokenizer.json

Each record is a sequence of fields, each a little-endian uint32 count of bytes and those bytes:
  raw         the line; what is not UTF-8 in it the library got as bytes.decode(errors="replace")
  ids         uint32 each: encoded with what the post-processor adds, special tokens' spellings staying text
  offsets     begin and end of each id in characters; empty where the library loses count (see below)
  special     the ids when special tokens' spellings are parsed; empty where there are none
  special_offsets
  decoded     of `special` (of `ids` where it is empty), without special tokens
  decoded_all of `special`
COUNT lines are mixed from the project's own files, installed packages' sources, generated text in many scripts, and oddities; then come
every code point in the positions where its class matters (a share of ideographs and the like, below 100000 lines), and ids at random (raw empty, ids and offsets empty).

Where a byte-level vocabulary lacks a byte (SmolLM2 lacks three), the library's offsets slip by one for the rest of the word.
"""
import argparse
import array
import pathlib
import random
import struct
import subprocess
import sys
from itertools import chain

from tokenizers import Tokenizer, pre_tokenizers

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/goldens"))
import text_corpus  # noqa: E402

# (first, last) code points of words, and what may follow a letter.
SCRIPTS = {
    "latin": [(0x61, 0x7A)] * 6 + [(0xC0, 0x17F)],
    "vietnamese": [(0x61, 0x7A), (0x1EA0, 0x1EF9), (0x300, 0x303), (0x323, 0x323), (0x306, 0x306), (0x302, 0x302)],
    "greek": [(0x3B1, 0x3C9), (0x1F00, 0x1FFE), (0x300, 0x345)],
    "cyrillic": [(0x410, 0x44F)] * 3 + [(0x400, 0x45F), (0x300, 0x308)],
    "hebrew": [(0x5D0, 0x5EA)] * 2 + [(0x591, 0x5C7), (0xFB1D, 0xFB4F)],
    "arabic": [(0x621, 0x64A)] * 3 + [(0x64B, 0x65F), (0x660, 0x669), (0xFE70, 0xFEFC)],
    "devanagari": [(0x904, 0x939)] * 2 + [(0x93A, 0x94F), (0x958, 0x95F), (0x200C, 0x200D)],
    "bengali": [(0x985, 0x9B9), (0x9BC, 0x9CD), (0x9DC, 0x9DF), (0x9E6, 0x9EF)],
    "tamil": [(0xB85, 0xBB9), (0xBBE, 0xBCD), (0xB94, 0xBCC)],
    "thai": [(0xE01, 0xE2E), (0xE30, 0xE4E)],
    "tibetan": [(0xF40, 0xF69), (0xF71, 0xF84), (0xF0B, 0xF0D)],
    "myanmar": [(0x1000, 0x102A), (0x102B, 0x103E)],
    "hangul": [(0xAC00, 0xD7A3)],
    "jamo": [(0x1100, 0x1112), (0x1161, 0x1175), (0x11A7, 0x11C2), (0xAC00, 0xAC1D)],
    "kana": [(0x3041, 0x3096), (0x30A1, 0x30FA), (0x3099, 0x309C), (0xFF66, 0xFF9D)],
    "han": [(0x4E00, 0x5FFF), (0x4E00, 0x9FFF), (0xF900, 0xFAD9), (0x3000, 0x3002)],
    "rare han": [(0x20000, 0x2A6DF), (0x2F800, 0x2FA1D)],
    "emoji": [(0x1F300, 0x1F64F), (0x1F900, 0x1F9FF), (0x1F3FB, 0x1F3FF), (0x200D, 0x200D), (0xFE0F, 0xFE0F), (0x1F1E6, 0x1F1FF)],
    "marks": [(0x61, 0x65), (0x300, 0x36F), (0x300, 0x36F), (0x1DC0, 0x1DFF), (0x20D0, 0x20F0)],
    "music": [(0x1D157, 0x1D172), (0x1D1B9, 0x1D1C0), (0x1D400, 0x1D7FF)],
    "numbers": [(0x30, 0x39)] * 4 + [(0x660, 0x669), (0xB2, 0xB3), (0x2150, 0x218B), (0x2460, 0x249B), (0xFF10, 0xFF19)],
    "symbols": [(0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E), (0x2010, 0x2046), (0x2190, 0x2300), (0x2E80, 0x2E99)],
    "control": [(0x0, 0x1F), (0x7F, 0x9F), (0x200B, 0x200F), (0x2028, 0x202E), (0xFEFF, 0xFEFF), (0xE000, 0xE003), (0xFFF0, 0xFFFF)],
}
GAPS = [" "] * 8 + ["", "  ", "\n", "\t", ", ", ". ", "'s ", "-", "\u00a0", "\u3000", "\r\n", "\u2581"]
SPACES = [" ", " ", " ", "\n", "\n", "\t", "\r", "\r\n", "\u00a0", "\u2003", "\u3000", "\u0085", "\u2028", "\x0b", "\x0c", "\u2581"]


def generated_word(rng, script):
    return "".join(chr(rng.randint(*rng.choice(script))) for _ in range(rng.randint(1, 9)))


def generated_line(rng):
    scripts = [SCRIPTS[rng.choice(list(SCRIPTS))] for _ in range(rng.choice([1, 1, 2, 3]))]
    return "".join(generated_word(rng, rng.choice(scripts)) + rng.choice(GAPS) for _ in range(rng.randint(1, 14)))


def spaced_line(rng):
    parts = []
    for _ in range(rng.randint(1, 6)):
        parts.append(rng.choice(SPACES) * rng.choice([1, 1, 2, 3, 5, 17, 40]))
        parts.append(rng.choice(["", "", "x", "7", ".", "word", "é", "'s", "(", "<"]))
    return "".join(parts)


def special_line(rng, spellings):
    parts = []
    for _ in range(rng.randint(1, 6)):
        spelling = rng.choice(spellings)
        kind = rng.randrange(8)
        if kind == 0:
            cut = rng.randrange(len(spelling) + 1)
            spelling = spelling[:cut] + rng.choice(["", " ", "x"]) + spelling[cut:]
        elif kind == 1:
            spelling = spelling.upper()
        parts.append(rng.choice(["", " ", "text", "\n", "'", "e\u0301", "  "]) + spelling + rng.choice(["", "", " ", "s", "\u0301", "\n"]))
    return "".join(parts)


def source_texts():
    """The project's text files, and modules of packages that requirements/oracles.txt pins."""
    tracked = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True, check=True).stdout.split("\n")
    wanted = {".md", ".cc", ".h", ".py", ".sh", ".txt", ".awk", ".yaml", ".json", ".jsonl"}
    paths = [ROOT / name for name in tracked if pathlib.Path(name).suffix in wanted]
    for package in ("transformers/models", "tokenizers", "safetensors", "jinja2"):
        for folder in (ROOT / ".venv/lib").glob(f"python3*/site-packages/{package}"):
            paths += sorted(folder.rglob("*.py"))
    return [text for text in (path.read_text("utf-8", "replace")[:60000] for path in paths if path.is_file()) if text]


def source_line(rng, texts):
    text = rng.choice(texts)
    start = rng.randrange(len(text))
    if rng.randrange(3) == 0:  # anywhere, mid-word too
        return text[start:start + rng.randint(1, 200)]
    start = text.rfind("\n", 0, start) + 1
    end = start
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        end = text.find("\n", end) + 1 or len(text)
        if end == len(text):
            break
    return text[start:min(end, start + 600)]


def mixed_lines(count, spellings, seed):
    rng = random.Random(seed)
    texts = source_texts()
    broken = text_corpus.broken_bytes(count // 25 + 14, seed)
    for raw in broken:
        yield raw
    makers = ([lambda: source_line(rng, texts)] * 9 + [lambda: generated_line(rng)] * 8 + [lambda: text_corpus.odd_line(rng)] * 4 +
              [lambda: spaced_line(rng)] * 2 + [lambda: special_line(rng, spellings)] * 2)
    for _ in range(count - len(broken)):
        yield rng.choice(makers)().encode("utf-8")


def field(raw):
    return struct.pack("<I", len(raw)) + raw


def numbers(values):
    return field(array.array("I", values).tobytes())


def missing_bytes(tokenizer):
    """Bytes that a byte-level vocabulary has no piece for."""
    if "ByteLevel" not in repr(tokenizer.decoder):
        return set()
    vocabulary = tokenizer.get_vocab(with_added_tokens=False)
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    spelled = {}
    for c in [*range(0x100), *range(0x400, 0x410), 0x800, 0x2000, *range(0x3000, 0xD000, 0x1000), 0xE000, 0xF000, 0x10000, 0x40000, 0x80000,
              0xC0000, 0x100000, *range(0x80, 0x800, 0x40)]:
        for byte, letter in zip(chr(c).encode(), byte_level.pre_tokenize_str(chr(c))[0][0]):
            spelled[byte] = letter
    return {byte for byte, letter in spelled.items() if letter not in vocabulary}


def write_lines(tokenizer, specials, missing, raw_lines, out):
    texts = [raw.decode("utf-8", "replace") for raw in raw_lines]
    tokenizer.encode_special_tokens = True
    plain = tokenizer.encode_batch(texts)
    tokenizer.encode_special_tokens = False
    special = [tokenizer.encode(text) if any(s in text for s in specials) else None for text in texts]
    decode_from = [(b or a).ids for a, b in zip(plain, special)]
    decoded = tokenizer.decode_batch(decode_from, skip_special_tokens=True)
    decoded_all = tokenizer.decode_batch(decode_from, skip_special_tokens=False)
    for raw, text, a, b, skipped, whole in zip(raw_lines, texts, plain, special, decoded, decoded_all):
        slips = missing and not missing.isdisjoint(text.encode())
        out.write(field(raw) + numbers(a.ids) + numbers([] if slips else chain.from_iterable(a.offsets)))
        out.write(numbers(b.ids if b else []) + numbers(chain.from_iterable(b.offsets) if b and not slips else []))
        out.write(field(skipped.encode()) + field(whole.encode()))


def write_random_ids(tokenizer, count, seed, out):
    rng = random.Random(seed)
    size = tokenizer.get_vocab_size()
    for _ in range(count):
        ids = [rng.choice([rng.randrange(size), rng.randrange(min(500, size)), size + 7]) for _ in range(rng.randrange(1, 12))]
        out.write(field(b"") + numbers([]) + numbers([]) + numbers(ids) + numbers([]) +
                  field(tokenizer.decode(ids, skip_special_tokens=True).encode()) +
                  field(tokenizer.decode(ids, skip_special_tokens=False).encode()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    tokenizer = Tokenizer.from_file(str(args.directory / "tokenizer.json"))
    added = [token for _, token in sorted(tokenizer.get_added_tokens_decoder().items())]
    spellings = [token.content for token in added[:60] + added[-20:]]
    specials = [token.content for token in added if token.special]
    missing = missing_bytes(tokenizer)
    lines = [*mixed_lines(args.count, spellings, args.seed), *(line.encode() for line in text_corpus.sweep_lines(1 if args.count >= 100000 else 31))]
    with open(sys.stdout.fileno(), "wb", closefd=False) as out:
        for start in range(0, len(lines), 1000):
            write_lines(tokenizer, specials, missing, lines[start:start + 1000], out)
        write_random_ids(tokenizer, args.count // 10, args.seed, out)


if __name__ == "__main__":
    main()
