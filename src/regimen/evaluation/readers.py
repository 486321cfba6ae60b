"""From a generated text to an item's per-item metrics, one reader a metric.

Owns what is noted of the item: its prediction, whether it could be read, values and counts. The rules of reading are
`answers`'. Does not know models.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from regimen.evaluation import answers
from regimen.evaluation.item_results import ItemResult

ANSWER_BITS = "answer-bits-per-byte"


def _keep_text(result: ItemResult, said: str) -> None:
    """The text is the prediction, unless a reader before found another or none."""
    if result.prediction is None and not result.failed:
        result.prediction = said.strip()


def _exact(result: ItemResult, said: str, answer: str) -> None:
    _keep_text(result, said)
    result.values["exact-match"] = answers.exact_match(said, answer)


def _numeric(result: ItemResult, said: str, answer: str) -> None:
    match = answers.numeric_match(said, answer)
    number = answers.read_number(said)
    result.prediction = str(number[0]) if number else None
    result.failed |= match is None
    result.values["numeric-match"] = match or 0.0


def _strict(result: ItemResult, said: str, answer: str) -> None:
    number = answers.strict_number(said)
    result.values["strict-match"] = answers.same_number(number, answers.strict_number(answer))


def _flexible(result: ItemResult, said: str, answer: str) -> None:
    number = answers.flexible_number(said)
    result.prediction = number
    result.target = answers.strict_number(answer) or answer
    result.failed |= number is None
    result.values["flexible-match"] = answers.same_number(number, result.target)


def _rouge(result: ItemResult, said: str, answer: str) -> None:
    result.prediction = said.strip()
    result.failed |= not said.strip()
    result.values["rouge-l"] = answers.rouge_l(said, answer)


def _bleu(result: ItemResult, said: str, answer: str) -> None:
    result.counts = answers.bleu_counts(said.strip(), answer)


def _entities(result: ItemResult, said: str, answer: str) -> None:
    right, predicted, wanted = answers.entity_counts(said, answer)
    result.prediction = said.strip()
    result.failed |= predicted == 0 and wanted > 0
    result.counts = [float(right), float(predicted), float(wanted)]
    result.values["entity-f1"] = 2 * right / (predicted + wanted) if predicted + wanted else 1.0


def _bits(result: ItemResult, said: str, answer: str) -> None:
    _keep_text(result, said)
    result.values[ANSWER_BITS] = result.nats / math.log(2) / max(1, result.bytes)


def _anchor_exact(result: ItemResult, said: str, answer: str) -> None:
    result.values["anchor-exact"] = float(said.strip() == answer)


def read_said_choice(result: ItemResult, said: str, choices: Sequence[str]) -> None:
    """What a closed task's answer is when it is generated: by the strict rule, and by others' lenient ones.

    Beside the log-likelihoods' choice, which stays the prediction.
    """
    names = [choice.strip() for choice in choices]
    strict = answers.said_choice(said, names)
    result.text = said
    result.values["said-accuracy"] = float(strict == result.target)
    result.values["missing-rate"] = float(strict is None)
    result.values["anchor-pixiu"] = float(answers.contained_choice(said, names) == result.target)
    result.values["anchor-fingpt"] = float(answers.contained_or_neutral(said, names) == result.target)


READERS: dict[str, Callable[[ItemResult, str, str], None]] = {
    "rouge-l": _rouge,
    "bleu": _bleu,
    "numeric-match": _numeric,
    "exact-match": _exact,
    "flexible-match": _flexible,
    "strict-match": _strict,
    "entity-f1": _entities,
    ANSWER_BITS: _bits,
    "anchor-exact": _anchor_exact,
}
