"""What a generated text says: the answer read out of it, and its agreement with the right one, item by item.

Owns the reading rules, each stated and strict: what cannot be read is a failure, never a class. Libraries do the
scoring proper (rouge-score, sacrebleu). Does not know models or aggregation over items.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from functools import cache

NUMBER = re.compile(r"[-+]?\$?\(?\d[\d,]*(?:\.\d+)?|[-+]?\$?\.\d+")
# lm-evaluation-harness's gsm8k task reads answers by these two patterns.
STRICT = re.compile(r"#### (\-?[0-9\.\,]+)")
FLEXIBLE = re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")
ENTITY = re.compile(r"\s*(.+?) is an? (person|organization|location)\s*(?:,|\.|$)")
NUMERIC_SLACK = 0.02  # a rounded answer may differ from the exact one by this share


def cut_at_stops(text: str, stops: tuple[str, ...]) -> str:
    """The text before the first stop string, leading blanks dropped when the stop is the line's end."""
    if "\n" in stops:
        text = text.lstrip()
    ends = [place for stop in stops if (place := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else text


def plain(text: str) -> str:
    """Lower case, without punctuation, articles and superfluous blanks (the rule of SQuAD's scorer)."""
    text = "".join(char for char in text.casefold() if char not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def exact_match(prediction: str, answer: str) -> float:
    """1 if both are equal after `plain`."""
    return float(plain(prediction) == plain(answer))


def read_number(text: str) -> tuple[float, int] | None:
    """The first number of a text and its decimals; a percent sign makes hundredths, brackets a minus sign."""
    match = NUMBER.search(text)
    if match is None:
        return None
    raw = match[0]
    digits = raw.replace(",", "").replace("$", "").replace("(", "").replace("+", "")
    value = float(digits)
    decimals = len(digits.partition(".")[2])
    if "(" in raw and text[match.end() : match.end() + 1] == ")":
        value = -abs(value)
    if text[match.end() :].lstrip(") ").startswith("%"):
        value, decimals = value / 100, decimals + 2
    return value, decimals


def numeric_match(prediction: str, answer: str) -> float | None:
    """1 if the first number of the prediction is the answer, or the answer rounded to the decimals given.

    A rounded answer must lie within 2% of the exact one. None if the prediction holds no number.
    """
    said, right = read_number(prediction), read_number(answer)
    if said is None:
        return None
    if right is None:
        return exact_match(prediction, answer)
    (value, decimals), (exact, _) = said, right
    if abs(value - exact) <= 1e-9 * max(1.0, abs(exact)):
        return 1.0
    rounded = abs(value - round(exact, decimals)) <= 1e-9 * max(1.0, abs(exact))
    return float(rounded and abs(value - exact) <= NUMERIC_SLACK * abs(exact))


def _clean_number(text: str) -> str:
    return text.replace(",", "").replace("$", "").rstrip(".")


def strict_number(text: str) -> str | None:
    """The number after "#### ", or None."""
    match = STRICT.search(text)
    return _clean_number(match[1]) if match else None


def flexible_number(text: str) -> str | None:
    """The last number of the text, or None."""
    found = FLEXIBLE.findall(text)
    return _clean_number(next(part for part in found[-1] if part)) if found else None


def same_number(one: str | None, other: str | None) -> float:
    """1 if both are the same number."""
    if one is None or other is None:
        return 0.0
    try:
        return float(float(one) == float(other))
    except ValueError:
        return float(one == other)


def entities_of(text: str) -> list[tuple[str, str]]:
    """The distinct (surface, type) pairs of "X is a person, Y is an organization.", in order."""
    pairs = [(" ".join(surface.split()), kind) for surface, kind in ENTITY.findall(text)]
    return list(dict.fromkeys(pairs))


def entity_counts(prediction: str, answer: str) -> tuple[int, int, int]:
    """(right, predicted, wanted) numbers of entities."""
    said, wanted = set(entities_of(prediction)), set(entities_of(answer))
    return len(said & wanted), len(said), len(wanted)


def said_choice(text: str, choices: Sequence[str]) -> str | None:
    """The choice that a text's first line is, without regard to case and punctuation; None where it is none."""
    first = plain(text.strip().partition("\n")[0])
    return next((choice for choice in choices if plain(choice) == first), None)


def contained_choice(text: str, choices: Sequence[str]) -> str | None:
    """PIXIU's lenient rule: the first of the choices that stands anywhere in the text."""
    return next((choice for choice in choices if choice.casefold() in text.casefold()), None)


def contained_or_neutral(text: str, choices: Sequence[str]) -> str:
    """FinGPT's lenient rule: the upper class if its name stands in the text, else the lower one, else neutral.

    Whatever cannot be read counts as neutral, which is the most frequent class.
    """
    poles = sorted((choice for choice in choices if choice != "neutral"), reverse=True)
    return contained_choice(text, poles) or "neutral"


@cache
def _rouge():
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=True)


def rouge_l(prediction: str, answer: str) -> float:
    """ROUGE-L F1 with stemming, by rouge-score."""
    return float(_rouge().score(answer, prediction)["rougeL"].fmeasure)


@cache
def _bleu():
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(effective_order=False)


def bleu_counts(prediction: str, answer: str) -> list[float]:
    """What corpus BLEU sums over items: lengths of system and reference, then matches and totals of 1- to 4-grams."""
    scored = _bleu().corpus_score([prediction], [[answer]])
    return [float(v) for v in (scored.sys_len, scored.ref_len, *scored.counts, *scored.totals)]
