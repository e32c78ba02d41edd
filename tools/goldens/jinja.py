#!/usr/bin/env python3
"""What transformers' own Jinja environment makes of small templates: tests/text/golden/jinja.jsonl.

The first line has the variables of all; each other has a source and either the text or the error that jinja2 raises.
Usage: .venv/bin/python tools/goldens/jinja.py
"""
import datetime
import json
import pathlib

import jinja2
import transformers
from transformers.utils.chat_template_utils import _compile_jinja_template

import jinja_snippets

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/text/golden/jinja.jsonl"
DATE = datetime.datetime(2025, 3, 9)
VERSIONS = {"transformers": transformers.__version__, "jinja2": jinja2.__version__}


def compiled(source):
    """The template as transformers compiles it, on a fixed day."""
    template = _compile_jinja_template(source)
    template.environment.globals["strftime_now"] = lambda form: DATE.strftime(form)
    return template


def record(source):
    made = {"source": source}
    try:
        made["text"] = compiled(source).render(**jinja_snippets.VARIABLES)
    except Exception as error:  # whatever Python raises ends a rendering
        made["raises"] = f"{type(error).__name__}: {error}"
    return made


def main():
    with open(GOLDEN, "w", encoding="utf-8", newline="\n") as out:
        out.write(json.dumps({"made_by": VERSIONS, "variables": jinja_snippets.VARIABLES}) + "\n")
        for source in jinja_snippets.snippets():
            out.write(json.dumps(record(source), ensure_ascii=True, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
