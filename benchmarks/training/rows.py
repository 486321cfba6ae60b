"""The rows that both sides train on: tokenised once, so that neither pays for tokenisation.

Owns the reading of a mirror folder and the rendering by the packaged study's forms. Does not know engines.
"""

from __future__ import annotations

from pathlib import Path

from regimen.data.cleaning import Drops
from regimen.data.forms import render, render_text
from regimen.data.rows import usable_rows
from regimen.data.sources import Where
from regimen.data.tokenizer import TextTokenizer
from regimen.study import load_study

Pair = tuple[list[int], list[int]]  # the prompt's ids; the answer's, with the end-of-text token


def tweets(data: Path, tokenizer: TextTokenizer) -> list[Pair]:
    """Real tweets with their sentiment and topic, as the plan fine-tunes on them."""
    pairs: list[Pair] = []
    study = load_study("qwen2-finance", "pilot")
    for name in ("twitter-sentiment", "twitter-topic"):
        source = study.sources[name]
        for row in usable_rows(name, source, "train", Where("hub", data, None), Drops()):
            example = render(source.form, row.values)
            pairs.append((tokenizer.encode(example.prompt), [*tokenizer.encode(example.answer), tokenizer.end]))
    return pairs


def documents(data: Path, tokenizer: TextTokenizer) -> list[list[int]]:
    """Real OpenWebText documents, each with its end-of-text token."""
    source = load_study("qwen2-finance", "pilot").sources["openwebtext"]
    rows = usable_rows("openwebtext", source, "train", Where("hub", data, None), Drops())
    return [[*tokenizer.encode(render_text(source.form, row.values)), tokenizer.end] for row in rows]
