"""Reads the answer in a generated text and compares it with the right one, item by item.

Owns the reading rules, each stated and strict: an unreadable text is a failure, never a class. Numbers are read by
`numbers`, words by `words`, entities by `entities`; libraries do the scoring proper (rouge-score, sacrebleu). Does not
know models or aggregation over items.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache

from regimen.evaluation.entities import entities_of as entities_of
from regimen.evaluation.entities import entity_counts as entity_counts
from regimen.evaluation.numbers import Number, ascii_digits, numbers_of, read_number
from regimen.evaluation.words import Words, spaced

# lm-evaluation-harness's gsm8k task reads answers by these two patterns.
STRICT = re.compile(r"#### (\-?[0-9\.\,]+)")
FLEXIBLE = re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")
NUMERIC_SLACK = 0.02  # a rounded answer may differ from the exact one by this share
_DISTINCTIVE = frozenset("#%&@/\\")  # punctuation that distinguishes answers, as signs and symbols do
_QUOTES = frozenset("`\u00b4")  # symbols that are used as punctuation


def cut_at_stops(text: str, stops: tuple[str, ...]) -> str:
    """The text before the first stop string, leading blanks dropped when the stop is the line's end."""
    if "\n" in stops:
        text = text.lstrip()
    ends = [place for stop in stops if (place := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else text


def plain(text: str) -> str:
    """A text as exact match compares it; "" for a text without any character.

    Lower case, without punctuation, articles and superfluous blanks, after the scorer of SQuAD (Rajpurkar et al. 2016)
    - but in any script, numbers by their value ("1.5" is not 15, "$1,000" is 1000), and with signs and symbols kept.
    A text of articles alone ("A.") keeps them, and a text of punctuation alone ("-") keeps that.
    """
    written = ascii_digits(unicodedata.normalize("NFC", text))
    pieces, place = [], 0
    for number in numbers_of(written):
        between = _without_punctuation(written[place : number.start])
        pieces += [between or " " * bool(pieces), _canonical(number, written[number.start : number.end])]
        place = number.end
    pieces.append(_without_punctuation(written[place:]))
    bare = "".join(pieces)
    forms = (re.sub(r"\b(a|an|the)\b", " ", bare), bare, written.casefold())
    return next((words for form in forms if (words := " ".join(form.split()))), "")


def _without_punctuation(text: str) -> str:
    return "".join(char for char in text.casefold() if not _is_punctuation(char))


@cache
def _is_punctuation(char: str) -> bool:
    return char in _QUOTES or (unicodedata.category(char).startswith("P") and char not in _DISTINCTIVE)


def _canonical(number: Number, written: str) -> str:
    """A number by its value; codes ("007", more digits than a float holds) by their digits."""
    digits = "".join(char for char in written if char.isdigit())
    if len(digits) > 15 or re.search(r"(?<![\d.,])0\d", written):
        return digits
    return f"{number.value:.15g}"


def exact_match(prediction: str, answer: str) -> float:
    """1 if both are equal after `plain`."""
    return float(plain(prediction) == plain(answer))


def numeric_match(prediction: str, answer: str) -> float | None:
    """1 if the first number of the prediction is the answer, or the answer rounded to the decimals given.

    A rounded answer must lie within 2% of the exact one. None if the prediction holds no number.
    """
    given, right = read_number(prediction), read_number(answer)
    if given is None:
        return None
    if right is None:
        return exact_match(prediction, answer)
    exact, error = right.value, 1e-12 * max(1.0, abs(right.value))
    if abs(given.value - exact) <= error:
        return 1.0
    rounded = abs(given.value - round(exact, given.decimals)) <= error
    return float(rounded and abs(given.value - exact) <= NUMERIC_SLACK * abs(exact))


def _clean_number(text: str) -> str:
    return text.replace(",", "").replace("$", "").rstrip(".")


def strict_number(text: str) -> str | None:
    """The number after "#### ", or None."""
    match = STRICT.search(text)
    return _clean_number(match[1]) if match else None


def flexible_number(text: str) -> str | None:
    """The last number of the text, or None."""
    numbers = FLEXIBLE.findall(text)
    return _clean_number(next(part for part in numbers[-1] if part)) if numbers else None


def same_number(one: str | None, other: str | None) -> float:
    """1 if both are the same number."""
    if one is None or other is None:
        return 0.0
    try:
        return float(float(one) == float(other))
    except ValueError:
        return float(one == other)


def written_choice(text: str, choices: Sequence[str]) -> str | None:
    """The choice that equals a text's first line, case and punctuation aside; None where no choice does."""
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

    return RougeScorer(["rougeL"], tokenizer=Words())


def rouge_l(prediction: str, answer: str) -> float:
    """ROUGE-L F1 with stemming of English words, by rouge-score; see `words` for what a word is."""
    return float(_rouge().score(answer, prediction)["rougeL"].fmeasure)


@cache
def _bleu():
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(effective_order=False)


def bleu_counts(prediction: str, answers: str | Sequence[str]) -> list[float]:
    """One item's addends of corpus BLEU, 14 numbers: lengths of system and reference, then for 1- to 4-grams the
    matches, the totals of the system, and the totals of the reference.

    Of several right answers the matches are those of the best n-gram of each, the reference the one nearest in length.
    """
    references = [answers] if isinstance(answers, str) else answers
    scored = _bleu().corpus_score([spaced(prediction)], [[spaced(reference)] for reference in references])
    of_reference = [max(0, scored.ref_len - order) for order in range(4)]
    return [float(v) for v in (scored.sys_len, scored.ref_len, *scored.counts, *scored.totals, *of_reference)]
