"""The metrics that a task may name: one table, so that a study's metrics are checked when it is loaded.

Owns each metric's name, direction, family, the scorings it goes with and the item columns it is computed from. Does
not know how anything is computed (`results.metrics` over items, `evaluation.readers` of one answer,
`analysis.sums` under resampling; tests hold their tables equal to this one). Imports nothing heavy.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

Scoring = Literal["choice", "generation", "execution", "text", "lm-eval"]
Family = Literal["classes", "choice", "said class", "text", "number", "entities", "program", "likelihood", "own"]
VERDICTS = "verdicts"  # `verdicts:NAME` is the score that NAME.jsonl beside the study gives an answer
HARNESS = "lm-eval:"  # begins the names of metrics that lm-evaluation-harness computes
# A function of a file beside the study, as a study keeps it: `module:function`, with `:lower` where less is better.
OWN = re.compile(r"(?P<module>[A-Za-z_][A-Za-z0-9_]{0,99}):(?P<function>[A-Za-z_][A-Za-z0-9_]{0,99})(?P<lower>:lower)?")


@dataclass(frozen=True)
class Metric:
    """One metric.

    `columns` are those of items.parquet that it is computed from. A `mean` is the mean of one value an item; the
    others are computed over all items together. `spoken`: of a closed task it needs the generated answer too.
    """

    name: str
    family: Family
    scorings: tuple[Scoring, ...]
    columns: tuple[str, ...]
    about: str
    better: Literal["higher", "lower"] = "higher"
    mean: bool = False
    spoken: bool = False

    def to_json(self) -> dict[str, object]:
        """The metric as `regimen metrics --json` prints it."""
        return {
            "name": self.name,
            "family": self.family,
            "scorings": list(self.scorings),
            "better": self.better,
            "mean": self.mean,
            "columns": list(self.columns),
            "about": self.about,
        }


def _classes(name: str, about: str, *, mean: bool = False) -> Metric:
    return Metric(name, "classes", ("choice",), ("target", "prediction"), about, mean=mean)


def _said(name: str, about: str, better: Literal["higher", "lower"] = "higher") -> Metric:
    return Metric(name, "said class", ("choice",), ("values",), about, better, mean=True, spoken=True)


def _read(name: str, family: Family, about: str) -> Metric:
    return Metric(name, family, ("generation",), ("values",), about, mean=True)


def _entities(name: str, about: str) -> Metric:
    return Metric(name, "entities", ("generation",), ("entity_counts",), about)


def _likelihood(name: str, scoring: Scoring, size: str, about: str) -> Metric:
    return Metric(name, "likelihood", (scoring,), ("nats", size), about, "lower")


_TABLE = (
    _classes("accuracy", "share of items whose likeliest choice is right", mean=True),
    _classes("macro-f1", "mean over the classes of the F1 of each"),
    _classes("precision", "mean over the classes of the precision of each"),
    _classes("recall", "mean over the classes of the recall of each"),
    Metric("f1", "classes", ("choice",), ("target", "prediction", "positive"), "F1 of the `positive` class, of two"),
    Metric(
        "acc-norm",
        "choice",
        ("choice",),
        ("values",),
        "accuracy by likelihood over characters, as lm-eval's acc_norm",
        mean=True,
    ),
    Metric(
        "acc-bytes",
        "choice",
        ("choice",),
        ("values",),
        "accuracy by likelihood over bytes, as lm-eval's acc_bytes",
        mean=True,
    ),
    _classes("mcc", "Matthews correlation of right and predicted classes, from -1 to 1"),
    _said("said-accuracy", "share of items whose generated first line is the right class"),
    _said("missing-rate", "share of items whose generated first line is no class", "lower"),
    _said("anchor-pixiu", "share right by PIXIU's lenient rule: the first class that stands anywhere in the text"),
    _said("anchor-fingpt", "share right by FinGPT's lenient rule: an unreadable answer counts as neutral"),
    _read("exact-match", "text", "share of answers equal to the right one after normalisation"),
    _read("anchor-exact", "text", "share of answers equal to the right one character by character"),
    _read("rouge-l", "text", "ROUGE-L F1 with English stemming, by rouge-score"),
    Metric("bleu", "text", ("generation",), ("bleu_counts",), "corpus BLEU, 0 to 1, by sacrebleu"),
    _read("numeric-match", "number", "share whose first number is the right one, exact or rounded within 2%"),
    _read("strict-match", "number", "share whose number after '#### ' is the right one, as lm-eval's gsm8k"),
    _read("flexible-match", "number", "share whose last number is the right one, as lm-eval's gsm8k"),
    _entities("entity-f1", "F1 over all entities, each a surface with its type, right only as a whole"),
    _entities("entity-precision", "share of the predicted entities that are right"),
    _entities("entity-recall", "share of the wanted entities that are predicted"),
    Metric("pass@1", "program", ("execution",), ("values",), "share of programs that pass their tests", mean=True),
    _likelihood("answer-bits-per-byte", "generation", "bytes", "bits that the right answers cost, for each byte"),
    _likelihood("bits-per-byte", "text", "bytes", "bits that the texts cost, for each byte"),
    _likelihood("perplexity", "text", "tokens", "exp of the mean negative log-likelihood of a token"),
)
METRICS: dict[str, Metric] = {metric.name: metric for metric in _TABLE}


def metric(name: str) -> Metric:
    """The metric of that name; raises ValueError naming the nearest ones for a name that is not known."""
    if name.startswith(HARNESS):
        return Metric(name, "text", ("lm-eval",), ("values",), "computed by lm-evaluation-harness", mean=True)
    if match := OWN.fullmatch(name):
        about = f"mean of {match['function']} in {match['module']}.py beside the study"
        if match["module"] == VERDICTS:
            about = f"mean of the scores that {match['function']}.jsonl beside the study gives the answers"
        better = "lower" if match["lower"] else "higher"
        return Metric(name, "own", ("generation",), ("values",), about, better, mean=True)
    if name not in METRICS:
        raise ValueError(unknown_metric(name))
    return METRICS[name]


def is_known(name: str) -> bool:
    """True if `metric` knows the name."""
    return name.startswith(HARNESS) or name in METRICS or OWN.fullmatch(name) is not None


def kept_name(module: str, function: str, better: str) -> str:
    """The name of a metric of the user's own, as a study keeps it."""
    return f"{module}:{function}:lower" if better == "lower" else f"{module}:{function}"


def unknown_metric(name: str) -> str:
    """The fault of a name that is no metric, with the nearest one."""
    return f"no metric {name!r}; {_nearest(name, METRICS)}"


def better_sign(name: str) -> int:
    """+1 where more is better, -1 where less is."""
    return -1 if metric(name).better == "lower" else 1


def fault_of(names: Sequence[str], scoring: Scoring, generates: bool) -> str | None:
    """Why a task with this scoring cannot have these metrics, or None; `generates`: whether it generates text."""
    for place, name in enumerate(names):
        if name in names[:place]:
            return f"the metric {name!r} appears twice"
        try:
            chosen = metric(name)
        except ValueError:
            return f"no metric {name!r}; {_nearest(name, fitting(scoring) or METRICS)}"
        if scoring not in chosen.scorings:
            return (
                f"the metric {name!r} goes with scoring: {' or '.join(chosen.scorings)}, and this task has scoring: "
                f"{scoring}; {_fitting_words(scoring)}"
            )
        if chosen.spoken and not generates:
            return f"the metric {name!r} reads generated text, so the task needs `generation: {{tokens: ...}}`"
    return None


def fitting(scoring: Scoring) -> list[str]:
    """The names of the metrics that go with a scoring; none for the harness's, which has its own."""
    return [name for name, metric in METRICS.items() if scoring in metric.scorings]


def _fitting_words(scoring: Scoring) -> str:
    names = fitting(scoring)
    return f"use one of {', '.join(names)}" if names else "use one of the harness's own, such as acc"


def _nearest(name: str, known: Sequence[str] | dict[str, Metric]) -> str:
    near = get_close_matches(name, known, n=1) or get_close_matches(name, METRICS, n=1)
    if near:
        return f"did you mean {near[0]!r}? (`regimen metrics` lists them all)"
    return f"the metrics are {', '.join(known)} (`regimen metrics` explains them)"
