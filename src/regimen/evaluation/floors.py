"""Lines that take no language model: always the most frequent class, guessing, TF-IDF with logistic regression.

Owns their predictions on a task's items. Does not know metrics or files. All three are functions of the rows alone.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from regimen.data.choice import InTurn
from regimen.data.cleaning import Drops, digest
from regimen.data.forms import render
from regimen.data.items import Item, test_texts
from regimen.data.overlap import TestTexts
from regimen.data.prepare import trainable_rows
from regimen.data.sources import Where
from regimen.errors import DataError
from regimen.study.sources import Source
from regimen.study.tasks import Task

MAX_ROWS = 100_000  # training rows that the bag of words sees at most, chosen by hash among all


@dataclass(frozen=True)
class Lines:
    """Targets and the predictions of each line, by item. `guesses` weighs every (target, prediction) pair."""

    targets: list[str]
    majority: list[str]
    guesses: list[tuple[str, str, float]]


def closed_lines(items: Sequence[Item]) -> Lines | None:
    """Majority and chance of a closed task, None for an open one."""
    if not items or not all(item.choices for item in items):
        return None
    targets = [item.choices[item.target].strip() for item in items]
    counts = Counter(targets)
    best = min(counts, key=lambda name: (-counts[name], name))
    pairs: Counter[tuple[str, str]] = Counter()
    for item, target in zip(items, targets, strict=True):
        for choice in item.choices:
            pairs[target, choice.strip()] += 1 / len(item.choices)  # type: ignore[assignment]
    return Lines(targets, [best] * len(items), [(t, p, float(weight)) for (t, p), weight in sorted(pairs.items())])


def positive_class(task: Task, item: Item) -> str:
    """The class that F1 is of: the task's `positive`, else the second of the label's names."""
    return task.positive or item.choices[1].strip()


def training_texts(name: str, source: Source, items: Sequence[Item], where: Where) -> tuple[list[str], list[str]]:
    """(prompts, labels) of the rows that training would see: unique, on the training side, no test item of the task.

    Of more than MAX_ROWS those that come first by hash. Raises SourceMissing where the training rows are not there,
    DataError where none of them is left.
    """
    tests = TestTexts(test_texts("", items))
    first: InTurn[tuple[bytes, int, Any]] = InTurn(MAX_ROWS)
    for number, row in enumerate(chain.from_iterable(trainable_rows(name, source, "finetune", where, tests, Drops()))):
        rendered = row.rendered or render(source.form, row.values)
        first.add(-1, (digest(rendered.prompt), number, (rendered.prompt, rendered.answer.strip())))
    chosen = sorted((one for of_class in first.by_class().values() for one in of_class), key=lambda one: one[1])
    if not chosen:
        raise DataError(f"source {name!r}: every row of its training side holds a test item or is near to one")
    return [one[2][0] for one in chosen], [one[2][1] for one in chosen]


def bag_of_words(texts: Sequence[str], labels: Sequence[str], prompts: Iterable[str]) -> list[str]:
    """Predictions of TF-IDF over words and pairs of words with logistic regression, fitted on `texts`, `labels`."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    if len(set(labels)) < 2:
        return [labels[0]] * len(list(prompts))
    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=1 if len(texts) < 5000 else 2)
    model = make_pipeline(words, LogisticRegression(C=10.0, max_iter=300))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(list(texts), list(labels))
    return [str(label) for label in model.predict(list(prompts))]


def is_closed(task: Task) -> bool:
    """True if these lines apply."""
    return task.scoring == "choice"
