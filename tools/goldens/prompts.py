"""Makes tests/nla/golden/prompts/: two tiny tokenizers with SmolLM2's pre-tokeniser and chat template, and the marker,
prompt and suffix ids that transformers gives for them.

`letter` has one single-token character of the searched ranges (Hebrew alef, as SmolLM2 has); `bytes` has none, so the
search ends at an unused special token. Usage: prompts.py OUTPUT_DIRECTORY
"""
import json
import pathlib
import sys

import tokenizers
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

RANGES = [(0x3200, 0x33FF), (0x2460, 0x24FF), (0x2600, 0x27BF), (0x05D0, 0x05F2), (0x0620, 0x064A), (0x0904, 0x0939),
          (0x0E01, 0x0E30), (0x3040, 0x30FF), (0x4E00, 0x9FFF)]
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<file_sep>", "<|reserved_0|>"]
CHAT_TEMPLATE = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
ACTOR = "Describe the vector.\n\n<concept>{injection_char}</concept>\n\nAnswer in <explanation> tags."
CRITIC = "Summary of the following text: <text>{explanation}</text> <summary>"
EXPLANATION = 'Ends with "from", after "had removed".\n\nAbout: army.'


def train(directory, corpus):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(corpus, trainers.BpeTrainer(
        vocab_size=380, special_tokens=SPECIALS, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False))
    directory.mkdir(parents=True, exist_ok=True)
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", chat_template=CHAT_TEMPLATE)
    fast.add_special_tokens({"additional_special_tokens": SPECIALS})
    tokenizer.save(str(directory / "tokenizer.json"))
    config = {"tokenizer_class": "GPT2Tokenizer", "eos_token": "<|im_end|>", "chat_template": CHAT_TEMPLATE}
    (directory / "tokenizer_config.json").write_text(json.dumps(config, indent=1))
    return fast


def encode(fast, text):
    return fast(text, add_special_tokens=False)["input_ids"]


def prompt_ids(fast, marker):
    rendered = fast.apply_chat_template([{"role": "user", "content": ACTOR.format(injection_char=marker)}],
                                        tokenize=False, add_generation_prompt=True)
    return encode(fast, rendered)


def find_marker(fast):
    candidates = [chr(c) for low, high in RANGES for c in range(low, high + 1)] + ["<|reserved_0|>"]
    for marker in candidates:
        ids = encode(fast, marker)
        if len(ids) == 1 and prompt_ids(fast, marker).count(ids[0]) == 1:
            return marker, ids[0]
    raise SystemExit("no marker")


def facts(fast):
    marker, marker_id = find_marker(fast)
    ids = prompt_ids(fast, marker)
    site = ids.index(marker_id)
    return {
        "marker": marker, "marker_id": marker_id, "left": ids[site - 1], "right": ids[site + 1], "site": site,
        "actor_ids": ids, "critic_suffix_ids": encode(fast, CRITIC.split("{explanation}")[1])[1:],
        "critic_ids": fast(CRITIC.format(explanation=EXPLANATION))["input_ids"],
    }


def main(output):
    output = pathlib.Path(output)
    words = [ACTOR.format(injection_char=" "), CRITIC.format(explanation=" text"), CHAT_TEMPLATE] * 3
    golden = {
        "made_by": f"tools/goldens/prompts.py, transformers {transformers.__version__}, "
                   f"tokenizers {tokenizers.__version__}",
        "actor_template": ACTOR, "critic_template": CRITIC, "explanation": EXPLANATION,
        "letter": facts(train(output / "letter", words + ["\u05d0 " * 40])),
        "bytes": facts(train(output / "bytes", words)),
    }
    (output / "prompts.json").write_text(json.dumps(golden, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main(sys.argv[1])
