"""A small, seeded part of the calibration benchmark: planted truth through the comparison, promises counted."""

from __future__ import annotations

import pytest
from benchmarks.analysis.calibration import KINDS, TASKS, Tally, run, simulate
from scipy.stats import binom

from regimen.analysis.scores import TaskScores
from tests.analysis.rows import binary

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
    stated = null.summary()["median_mde"]
    assert isinstance(stated, dict)
    tally = run(STUDIES, 64, stated, resamples=1000, swaps=1999, first=10**6)
    assert tally.found is not None
    for kind in KINDS:
        assert sum(tally.found[kind]) >= binom.ppf(0.001, STUDIES, 0.8), kind


def test_naive_items_would_reject_where_clusters_do_not() -> None:
    """The simulated clusters matter: the same scores taken item by item break the promise."""
    from regimen.analysis.contrasts import Rules, compare

    study = simulate(3, 300, {})
    scores = study.scores["dialogues"]
    se = {}
    for name, found in compare(
        {"c": study.contrasts["dialogues0"]}, study.scores, Rules(seed=1, resamples=500, swaps=199)
    ).items():
        se[name] = found.se
    share = scores.points
    naive = ((share[0] * (1 - share[0]) + share[1] * (1 - share[1])) / 300) ** 0.5
    assert se["c"] > 0.9 * naive  # pairing would make it smaller, luck within clusters makes up for it
    assert scores.clusters == 60


def test_the_sums_are_those_of_item_rows() -> None:
    """The simulation writes sums; rows of the same items give the same."""
    study = simulate(1, 20, {})
    plain = study.scores["plain"]
    assert set(study.scores) == set(TASKS)
    rows = {name: binary(plain.sums[:, place, 1].tolist()) for place, name in enumerate(plain.names)}
    again = TaskScores.from_rows("plain", "exact-match", rows)
    assert (again.sums == plain.sums).all()
