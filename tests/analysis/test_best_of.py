"""RQ2: which mixture is best, with intervals that hold for all of them at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import tukey_hsd

from regimen.analysis.best_of import RankedGroup, by_best, ranked_groups
from regimen.analysis.evidence import Evidence
from regimen.analysis.rules import Rules
from regimen.analysis.statistics.best import compare_with_best
from regimen.analysis.statistics.resampling import Resampled
from regimen.errors import StudyError
from regimen.plan import compile_plan
from regimen.study import load_study
from regimen.study.questions import BestRule
from tests.support.mixtures_study import STUDY
from tests.support.simulated_runs import simulate

Skill = Callable[[str, str], float]


@pytest.fixture
def ranked(tmp_path: Path) -> Callable[..., tuple[str, str, RankedGroup]]:
    def made(skill: Skill, items: int = 200, margin: float = 0.02) -> tuple[str, str, RankedGroup]:
        path = tmp_path / "study.yaml"
        path.write_text(STUDY.replace("TASKS", "main") + f"margin: {{accuracy: {margin}}}\n", encoding="utf-8")
        study = load_study(path)
        rule = study.questions["Q"].rule
        assert isinstance(rule, BestRule)
        tables = simulate(tmp_path / "run", compile_plan(study), skill, items=items)
        groups = ranked_groups(Evidence(tables, Rules(seed=1, resamples=1000, swaps=99)), rule)
        return (*by_best(groups, []), groups[0])

    return made


Made = Callable[..., tuple[str, str, RankedGroup]]


def test_the_best_is_named_where_it_is_clear(ranked: Made) -> None:
    verdict, summary, group = ranked(lambda end, task: {"m-even": 0.95, "m-mood": 0.5}.get(end, 0.45))
    assert (verdict, group.status) == ("yes", "one best")
    assert summary.startswith("Yes: Mixtures: in this one run, the best is m-even, +")
    assert [one.may_be_best for one in group.ranked] == [True, False, False]
    assert group.ranked[0].low > 0


def test_two_that_may_be_best_are_both_named(ranked: Made) -> None:
    verdict, summary, group = ranked(lambda end, task: 0.3 if end in ("m-mood", "zero-shot") else 0.8)
    assert (verdict, group.status) == ("undecided", "undecided")
    assert {one.experiment for one in group.ranked if one.may_be_best} == {"m-even", "m-topic"}
    assert "may be the best; clearly behind: m-mood." in summary


def test_where_no_two_differ_by_the_margin_the_mixture_does_not_matter(ranked: Made) -> None:
    verdict, summary, group = ranked(lambda end, task: 0.6, margin=0.2)
    assert (verdict, group.status) == ("no", "all alike")
    assert "no two differ by the margin of 0.2" in summary


def test_few_items_leave_it_open(ranked: Made) -> None:
    assert ranked(lambda end, task: 0.6, items=40)[0] == "undecided"


def test_what_has_not_run_is_not_ranked(ranked: Made, tmp_path: Path) -> None:
    group = RankedGroup("Mixtures", ["mood"], None, [], "not yet", "missing: m-even on mood")
    assert by_best([group], []) == ("not yet", "Not yet: Mixtures: not yet (missing: m-even on mood).")


@pytest.mark.parametrize(
    ("tasks", "fault"),
    [
        ("[mood, text]", "averages bits per byte and share; rank each unit apart"),
        ("nothing", "no task group 'nothing'"),
    ],
)
def test_a_ranking_never_averages_two_units(tmp_path: Path, tasks: str, fault: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY.replace("TASKS", tasks), encoding="utf-8")
    with pytest.raises(StudyError, match=fault):
        load_study(path)


def test_the_intervals_are_those_of_tukey_for_independent_normal_means() -> None:
    """An oracle: with equal spreads and no sharing of items the intervals of all pairs are Tukey's."""
    random = np.random.default_rng(1)
    samples = [random.normal(mu, 1.0, 60) for mu in (0.0, 0.2, 0.9)]
    wanted = tukey_hsd(*samples).confidence_interval(0.95)
    numbers = []
    for sample in samples:
        draws = random.choice(sample, size=(20_000, 60)).mean(axis=1)
        numbers.append(Resampled(float(sample.mean()), draws, {}))
    leads, widest = compare_with_best(numbers)
    for one, lead in enumerate(leads):
        others = [other for other in range(3) if other != one]
        assert lead.low == pytest.approx(min(wanted.low[one, other] for other in others), abs=0.06)
        assert lead.high == pytest.approx(min(wanted.high[one, other] for other in others), abs=0.06)
    assert widest == pytest.approx(float(wanted.high.max()), abs=0.06)
    assert [lead.may_be_best for lead in leads] == [False, False, True]
