"""A small, seeded part of the calibration benchmark: planted truth through the comparison, promises counted."""

from __future__ import annotations

import pytest
from benchmarks.analysis.calibration import KINDS, TASKS, Tally, plantable, run, simulate
from scipy.stats import binom

from regimen.analysis.statistics.aligned_scores import TaskScores
from regimen.analysis.statistics.significance import p_values
from tests.support.item_scores import binary

STUDIES = 60


@pytest.fixture(scope="module")
def null() -> Tally:
    return run(STUDIES, 64, {}, resamples=1000, swaps=1999)


@pytest.mark.slow
def test_without_effects_few_studies_call_any_contrast_a_difference(null: Tally) -> None:
    assert null.wrong <= binom.ppf(0.999, STUDIES, 0.05)


@pytest.mark.slow
def test_intervals_hold_the_truth(null: Tally) -> None:
    covered = null.summary()["coverage"]
    assert isinstance(covered, dict)
    assert 0.93 <= covered["all"] <= 0.97


@pytest.mark.slow
def test_effects_of_the_stated_size_are_found(null: Tally) -> None:
    tally = run(STUDIES, 64, plantable(null.summary()), resamples=1000, swaps=1999, first=10**6)
    assert tally.found is not None
    for kind in KINDS:
        assert sum(tally.found[kind]) >= binom.ppf(0.001, STUDIES, 0.8), kind


def test_items_of_one_cluster_taken_one_by_one_would_break_the_promise() -> None:
    rejected = {False: 0, True: 0}
    tests = 0
    for seed in range(60):
        chosen = {}
        for naive in rejected:
            study = simulate(seed, 100, {}, naive)
            chosen = {name: pairs for name, pairs in study.contrasts.items() if name.startswith("dialogues")}
            found = p_values(chosen, study.scores, seed, swaps=999)
            rejected[naive] += sum(test.p <= 0.05 for test in found.values())
        tests += len(chosen)
    assert rejected[False] <= binom.ppf(0.999, tests, 0.05)
    assert rejected[True] > 1.5 * 0.05 * tests


def test_the_sums_are_those_of_item_rows() -> None:
    """The simulation writes sums; rows of the same items give the same."""
    study = simulate(1, 20, {})
    plain = study.scores["plain"]
    assert set(study.scores) == set(TASKS)
    rows = {name: binary(plain.sums[:, place, 1].tolist()) for place, name in enumerate(plain.names)}
    again = TaskScores.from_rows("plain", "exact-match", rows)
    assert (again.sums == plain.sums).all()
