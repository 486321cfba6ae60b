"""From a generated text to the value of each metric for one item, one reader a metric.

Owns what a metric notes of an answer. The rules of reading are `answers`'. A reader returns its reading and knows of
no other reader, so the order of a task's metrics changes nothing. Does not know models or rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from regimen.evaluation import answers
from regimen.study.metrics import METRICS

ANSWER_BITS = "answer-bits-per-byte"


@dataclass(frozen=True)
class Reading:
    """The values that one metric reads in one answer.

    `value` is the item's own (nan where there is none), `prediction` the answer as the metric reads it (None: it
    cannot be read), `target` the right answer in the same form (None: as it stands), `counts` what a corpus metric
    sums over items, `fault` why there is no value.
    """

    value: float
    prediction: str | None
    target: str | None = None
    counts: tuple[float, ...] = ()
    fault: str = ""


@dataclass(frozen=True)
class Answer:
    """One generated text (None: `extract` matches nothing in it) and the right answers, of which any will do.

    `nats` and `bytes` are the likelihood and size of the first right answer, `types` the entity types of the task,
    `item` the item's id, `whole` the whole text, whatever `extract` reads of it.
    """

    text: str | None
    rights: tuple[str, ...]
    nats: float = math.nan
    bytes: int = 0
    types: frozenset[str] | None = None
    item: str = ""
    whole: str = ""

    @property
    def extracted(self) -> str:
        """The text that metrics read, "" where there is none."""
        return self.text or ""

    @property
    def right(self) -> str:
        """The first right answer."""
        return self.rights[0]


def _exact(answer: Answer) -> Reading:
    return Reading(answers.exact_match(answer.extracted, answer.right), answer.extracted.strip())


def _anchor_exact(answer: Answer) -> Reading:
    return Reading(float(answer.extracted.strip() == answer.right), answer.extracted.strip())


def _numeric(answer: Answer) -> Reading:
    match = answers.numeric_match(answer.extracted, answer.right)
    number = answers.read_number(answer.extracted)
    return Reading(match or 0.0, str(number[0]) if number else None)


def _strict(answer: Answer) -> Reading:
    number, right = answers.strict_number(answer.extracted), answers.strict_number(answer.right)
    return Reading(answers.same_number(number, right), number, right)


def _flexible(answer: Answer) -> Reading:
    number, right = answers.flexible_number(answer.extracted), answers.strict_number(answer.right) or answer.right
    return Reading(answers.same_number(number, right), number, right)


def _rouge(answer: Answer) -> Reading:
    return Reading(answers.rouge_l(answer.extracted, answer.right), answer.extracted.strip() or None)


def _bleu(answer: Answer) -> Reading:
    text = answer.extracted.strip()
    return Reading(math.nan, text, counts=tuple(answers.bleu_counts(text, answer.rights)))


def _entities(which: str) -> Callable[[Answer], Reading]:
    def read(answer: Answer) -> Reading:
        right, predicted, wanted = answers.entity_counts(answer.extracted, answer.right, answer.types)
        below = {"f1": (predicted + wanted) / 2, "precision": predicted, "recall": wanted}[which]
        value = right / below if below else float(predicted == wanted)
        text = None if predicted == 0 and wanted > 0 else answer.extracted.strip()
        return Reading(value, text, counts=(float(right), float(predicted), float(wanted)))

    return read


def _bits(answer: Answer) -> Reading:
    return Reading(answer.nats / math.log(2) / max(1, answer.bytes), answer.extracted.strip())


READERS: dict[str, Callable[[Answer], Reading]] = {
    "rouge-l": _rouge,
    "bleu": _bleu,
    "numeric-match": _numeric,
    "exact-match": _exact,
    "flexible-match": _flexible,
    "strict-match": _strict,
    "entity-f1": _entities("f1"),
    "entity-precision": _entities("precision"),
    "entity-recall": _entities("recall"),
    ANSWER_BITS: _bits,
    "anchor-exact": _anchor_exact,
}


Reader = Callable[[Answer], Reading]


def read(metrics: Sequence[str], answer: Answer, own: Mapping[str, Reader] | None = None) -> dict[str, Reading]:
    """The reading of each metric; of several right answers the one that is met best.

    `own` holds the readers of the study's own metrics, which get all right answers together.
    """
    own = own or {}
    readings = {name: own[name](answer) if name in own else _best(name, answer) for name in metrics}
    if answer.text is None:
        return {name: replace(reading, prediction=None) for name, reading in readings.items()}
    return readings


def _best(name: str, answer: Answer) -> Reading:
    if name in _OF_ALL:
        return READERS[name](answer)
    readings = [READERS[name](replace(answer, rights=(right,))) for right in answer.rights]
    return max(readings, key=lambda reading: reading.value)


_OF_ALL = frozenset({"bleu", ANSWER_BITS})  # BLEU takes all right answers together, the likelihood is of the first


def counts_of(readings: Mapping[str, Reading]) -> dict[str, list[float]]:
    """The sums of corpus metrics, by the column of the item rows that holds them."""
    return {METRICS[name].columns[0]: list(reading.counts) for name, reading in readings.items() if reading.counts}


def read_written_choice(text: str, choices: Sequence[str], target: str) -> dict[str, float]:
    """The values of a closed task's generated answer: by the strict rule, and by others' lenient ones."""
    names = [choice.strip() for choice in choices]
    strict = answers.written_choice(text, names)
    return {
        "said-accuracy": float(strict == target),
        "missing-rate": float(strict is None),
        "anchor-pixiu": float(answers.contained_choice(text, names) == target),
        "anchor-fingpt": float(answers.contained_or_neutral(text, names) == target),
    }
