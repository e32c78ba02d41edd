"""Lines to compare tokenizers on: text found on the machine, and generated Unicode oddities. Deterministic for a seed."""
import gzip
import pathlib
import random
import unicodedata

ODDITIES = {
    "emoji": ["👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇩🇪", "❤️", "😀😀", "👨🏿‍🚀", "#️⃣", "🫠"],
    "combining": ["e\u0301", "Z\u0351\u036b\u0343", "a\u0300\u0301\u0302", "\u0301", "n\u0303o", "\u200d", "\u200b", "\ufe0f"],
    "cjk": ["漢字", "日本語のテキスト", "中文，标点。", "한국어", "ㄱㄴ", "𠀀𪚥", "「引用」", "㈀㌀"],
    "rtl": ["العربية", "مرحبا ١٢٣", "עברית", "\u202bخ\u202c", "ܐܒ", "ߊߋ"],
    "indic": ["हिन्दी", "தமிழ்", "ไทย", "ខ្មែរ", "မြန်မာ", "১২৩", "௧௨"],
    "latin": ["naïve", "Straße", "ﬁne", "ǅ", "ŁÓDŹ", "İstanbul", "ſ", "Ω", "Привет", "ელ", "ªº", "ʰ"],
    "space": [" ", "  ", "   ", "\t", "\n", "\r\n", "\n\n\n", " \n ", "\u00a0", "\u3000", "\u2003 ", "\u2028", "\u0085", "\x0b", "\x0c", "\x1c",
              "\x1f", "\u180e", "\u200b", "\ufeff", "\t\t  "],
    "control": ["\x00", "\x01", "\x14", "\x16", "\x1b[0m", "\x7f", "\x80", "\u0600", "\ufffd", "\ufffe", "\U0010ffff", "\U000f1234"],
    "digits": ["0", "7", "42", "1234567890", "3.14", "1,000", "²", "½", "Ⅷ", "٣", "①", "〇", "一二", "𝟘", "1st", "0x1F", "৳", "㊿", "𐄇", "𑇡"],
    "contractions": ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'LL", "it's", "we'll've", "''s", "'", "’s", "'rex", " 's", "\t'd"],
    "punctuation": ["...", "!?", "->", "—", "“x”", "{}[]", "\\n", "<b>", "&amp;", "http://a.b/c?d=e#f", "a_b-c", "`x`", "$5", "€", "∑≠", "_", "~~"],
    "special": ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<repo_name>", "<|im_start|", "|im_end|>", "<|im_start|><|im_end|>", "< |im_end|>",
                "<<|im_end|>>", "<file_sep>", "<|IM_END|>", "<|im_end|>user", "<issue_start><", "<gh_stars>10"],
    "words": ["the", "The", "hello", "HELLO", "antidisestablishmentarianism", "x", "don", "aaaa", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", "camelCase",
              "snake_case", "the the"],
}


def random_characters(rng, count):
    planes = [(0, 0x80), (0x80, 0x800), (0x800, 0xD800), (0xE000, 0x10000), (0x10000, 0x20000), (0x20000, 0x110000)]
    return "".join(chr(rng.randrange(*rng.choice(planes))) for _ in range(count))


def odd_line(rng):
    parts = []
    for _ in range(rng.randrange(1, 12)):
        kind = rng.randrange(20)
        if kind == 0:
            parts.append(random_characters(rng, rng.randrange(1, 6)))
        elif kind == 1:
            parts.append(rng.choice(rng.choice(list(ODDITIES.values()))) * rng.randrange(1, 40))
        else:
            parts.append(rng.choice(rng.choice(list(ODDITIES.values()))))
        parts.append(rng.choice(["", "", " ", " ", "  ", "\n"]))
    return "".join(parts)


def odd_lines(count, seed=0):
    rng = random.Random(seed)
    return [odd_line(rng) for _ in range(count)]


def sweep_lines(thin=1):
    """Every code point below U+323B0 and the tags' plane, in the positions where its class matters. `thin`: of ideographs, Hangul
    syllables, private and unassigned code points only every so many."""
    bulk = [range(0x3400, 0xA000), range(0xAC00, 0xD7A4), range(0xE000, 0xF900), range(0x17000, 0x18D00), range(0x1FB00, 0x2F800), range(0x2FA20, 0x323B0)]
    code_points = [c for c in [*range(0x323B0), *range(0xE0000, 0xE01F0)] if not 0xD800 <= c < 0xE000]
    code_points = [c for c in code_points if c % thin == 0 or not (any(c in r for r in bulk) or unicodedata.category(chr(c)) == "Cn")]
    for start in range(0, len(code_points), 256):
        yield "".join(f"  {chr(c)}a {chr(c)}{chr(c)}1" for c in code_points[start:start + 256])


def broken_bytes(count, seed=0):
    """Byte strings that are not UTF-8: cut, overlong, surrogates, out of range, random."""
    rng = random.Random(seed)
    made = [b"\xff", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf5a", b"\xe2\x82", b"a\xf0\x9f\x98", b"\x80\x80",
            b"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", b"\xf0\x80\x80\x41", b"\xc2", b"\xc2 \xe2\x82 \xf0\x9f\x98 x"]
    while len(made) < count:
        raw = bytearray(odd_line(rng).encode("utf-8"))
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(raw))
            change = rng.randrange(3)
            if change == 0:
                raw[at] = rng.randrange(256)
            elif change == 1:
                del raw[at:at + rng.randrange(1, 3)]
            else:
                raw.insert(at, rng.randrange(128, 256))
            raw = raw or bytearray(b"\xfe")
        made.append(bytes(raw))
    return made


def read_lines(path):
    raw = gzip.open(path).read(2_000_000) if path.suffix == ".gz" else path.read_bytes()[:2_000_000]
    return raw.decode("utf-8", "replace").splitlines(keepends=True)


def found_lines(count, folders, seed=0):
    """`count` non-blank lines and groups of lines, from files chosen at random under `folders`."""
    rng = random.Random(seed)
    wanted = {"", ".gz", ".txt", ".md", ".py", ".html", ".rst", ".po", ".json"}
    files = sorted(p for folder in folders for p in pathlib.Path(folder).rglob("*") if p.suffix in wanted and p.is_file())
    rng.shuffle(files)
    made = []
    for path in files:
        lines = read_lines(path)
        for _ in range(40):
            if not lines:
                break
            start = rng.randrange(len(lines))
            text = "".join(lines[start:start + rng.choice([1, 1, 1, 2, 5])])
            if text.strip():
                made.append(text)
        if len(made) >= count:
            break
    return made[:count]
