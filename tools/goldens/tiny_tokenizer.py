"""Makes tests/model/golden/tiny_tokenizer/: a byte-level BPE with ChatML small enough for the tiny checkpoints (288 embedding rows).

  .venv/bin/python tools/goldens/tiny_tokenizer.py [--out tests/model/golden/tiny_tokenizer]

Five special tokens, all bytes, and 27 merges: one makes the Hebrew alef a single token (the marker), the others come from the English
below, so that texts have tokens of several bytes. The pre-tokeniser is SmolLM2's.
"""

import argparse
import json
import pathlib

from tokenizers import AddedToken, Tokenizer, __version__, decoders, models, pre_tokenizers, trainers

ROWS = 288
SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<file_sep>", "<|reserved_0|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nBe brief.<|im_end|>\n' }}"
    "{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TEXT = (
    "The harbour master counted the ships at dawn, and there were nine of them waiting in the rain.",
    "When the train came in late again, nobody in the station said anything about it.",
    "She read the letter twice, then laid it on the table and went out into the garden.",
    "In the winter the river stands still under the bridge and the children walk on it.",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("tests/model/golden/tiny_tokenizer"))
    args = parser.parse_args()

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=ROWS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[AddedToken(s, special=True, normalized=False) for s in SPECIALS],
        show_progress=False,
    )
    tokenizer.train_from_iterator([*TEXT, *["\u05d0"] * 40], trainer)
    assert tokenizer.get_vocab_size() == ROWS and len(tokenizer.encode("\u05d0").ids) == 1

    args.out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(args.out / "tokenizer.json"))
    made_with = f"tools/goldens/tiny_tokenizer.py, tokenizers {__version__}"
    config = {"chat_template": CHAT_TEMPLATE, "eos_token": "<|im_end|>", "made_with": made_with}
    (args.out / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
