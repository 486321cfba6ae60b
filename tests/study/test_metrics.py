"""The table of metrics: every table that computes one holds the same names, and a study's metrics are checked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from regimen.analysis.statistics.metric_sums import Sums
from regimen.errors import StudyError
from regimen.evaluation.readers import READERS
from regimen.results.item_rows import ITEM_SCHEMA
from regimen.results.metrics import FUNCTIONS
from regimen.study import Study, load_study
from regimen.study.metrics import METRICS, fitting, metric
from tests.support.studies import MINIMAL

GENERATION = "scoring: generation, generation: {tokens: 4}"


def load(metrics: str, tmp_path: Path, scoring: str = "scoring: choice") -> Study:
    path = tmp_path / "study.yaml"
    path.write_text(MINIMAL.replace("scoring: choice, metrics: [accuracy]", f"{scoring}, metrics: {metrics}"))
    return load_study(path)


@pytest.mark.parametrize(
    ("metrics", "scoring", "says"),
    [
        ("[acuracy]", "scoring: choice", "no metric 'acuracy'; did you mean 'accuracy'?"),
        ("[accuracy, makro-f1]", "scoring: choice", "no metric 'makro-f1'; did you mean 'macro-f1'?"),
        ("[rouge]", GENERATION, "no metric 'rouge'; did you mean 'rouge-l'?"),
        ("[vibes]", "scoring: choice", "no metric 'vibes'; the metrics are accuracy, macro-f1"),
        ("[rouge-l]", "scoring: choice", "the metric 'rouge-l' goes with scoring: generation, and this task has"),
        ("[accuracy]", GENERATION, "the metric 'accuracy' goes with scoring: choice, and this task has scoring: gen"),
        ("[pass@1]", GENERATION, "use one of exact-match"),
        ("[exact-match]", "scoring: execution, generation: {tokens: 4}", "use one of pass@1"),
        ("[accuracy, accuracy]", "scoring: choice", "the metric 'accuracy' appears twice"),
        ("[said-accuracy]", "scoring: choice", "the metric 'said-accuracy' reads generated text"),
        ("['lm-eval:acc']", "scoring: choice", "the metric 'lm-eval:acc' goes with scoring: lm-eval"),
    ],
)
def test_a_metric_that_cannot_be_computed_is_refused_when_the_study_is_loaded(
    metrics: str, scoring: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(StudyError) as caught:
        load(metrics, tmp_path, scoring)
    (fault,) = caught.value.faults
    assert fault.startswith("line 13, tasks.mood: ")
    assert says in fault


@pytest.mark.parametrize(
    ("task", "names", "says"),
    [
        (
            "metrics: [f1]",
            "[low, mid, high]",
            "f1 scores one class of two, but the label of 'mood' has 3; use macro-f1",
        ),
        ("metrics: [f1], positive: godo", "[bad, good]", "no class 'godo'; there is good"),
        ("metrics: [accuracy], positive: good", "[bad, good]", "`metrics` has no f1"),
        ("metrics: [accuracy], extract: x", "[bad, good]", "`extract` reads generated answers"),
    ],
)
def test_f1_is_of_a_class_that_is_there(task: str, names: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(MINIMAL.replace("metrics: [accuracy]", task).replace("[bad, good]", names))
    with pytest.raises(StudyError, match=re.escape(says)):
        load_study(path)


def test_metrics_that_wrote_to_the_same_columns_may_stand_together(tmp_path: Path) -> None:
    load("[bleu, entity-f1, numeric-match, flexible-match]", tmp_path, GENERATION)


def test_the_harnesss_names_stay_its_own(tmp_path: Path) -> None:
    task = "  arc: {title: ARC, group: g, lm_eval: arc_easy, metrics: [acc_norm, 'exact_match,strict']}\n"
    text = MINIMAL.replace("tasks:\n", f"tasks:\n{task}")
    path = tmp_path / "study.yaml"
    path.write_text(text)
    assert load_study(path).tasks["arc"].metrics == ("lm-eval:acc_norm", "lm-eval:exact_match,strict")


@pytest.mark.parametrize("name", [*METRICS, "lm-eval:acc"])
def test_what_is_summed_is_what_the_table_says(name: str) -> None:
    sums, chosen = Sums(name), metric(name)
    assert (sums.columns, sums.is_mean) == (chosen.columns, chosen.mean)
    assert set(chosen.columns) <= set(ITEM_SCHEMA.names)


def test_every_metric_has_what_computes_it() -> None:
    assert set(READERS) == set(fitting("generation"))
    assert set(FUNCTIONS) <= set(METRICS)
    values_alone = {name for name, chosen in METRICS.items() if chosen.columns == ("values",)}
    assert set(METRICS) - set(FUNCTIONS) == values_alone
    assert all(METRICS[name].mean for name in values_alone)
