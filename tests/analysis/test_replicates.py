"""Replicates are found by their recipe, widen what is said of it, and signs in traces become advice."""

from __future__ import annotations

from pathlib import Path

import pytest

from regimen.analysis import advice
from regimen.analysis.declared_contrasts import judge_contrasts
from regimen.analysis.evidence import Evidence
from regimen.analysis.replicates import replicate_groups
from regimen.analysis.rules import Rules
from regimen.analysis.statistics.resampling import mean
from regimen.plan import compile_plan
from regimen.results.tables import RunTables
from regimen.study import Contrast, EndPoint, Pair, load_study
from tests.support.simulated_runs import simulate, without

RULES = Rules(seed=1, resamples=500, swaps=999)
SEEDS = {"3a-math": 0.9, "3a-math~s18": 0.5, "3a-math~s19": 0.2}


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> RunTables:
    """Fine-tuning on math with three seeds that end far apart."""
    plan = compile_plan(
        load_study("qwen2-finance", "demo"),
        only=["1-math", "1-sst2", *SEEDS, "3c-3-*", "3a-sst2", "3c-3-sentiment~s18", "3c-3-sentiment~s19"],
        tasks=["math", "sst2"],
    )
    return simulate(tmp_path_factory.mktemp("seeds") / "run", plan, lambda end, task: SEEDS.get(end, 0.3), items=60)


CONTRAST = Contrast(
    id="c", title="c", group="g", pairs=(Pair(of=EndPoint("3a-math"), against=EndPoint("zero-shot"), task="math"),)
)


def test_replicates_are_experiments_that_differ_in_their_seed_alone(seeded: RunTables) -> None:
    groups = {tuple(group) for group in replicate_groups(Evidence(seeded, RULES))}
    assert ("3a-math", "3a-math~s18", "3a-math~s19") in groups
    assert ("3c-3-sentiment", "3c-3-sentiment~s18", "3c-3-sentiment~s19") in groups
    assert all("3a-sst2" not in group for group in groups)


def test_runs_on_other_rows_or_at_other_rates_are_no_replicates(tmp_path: Path) -> None:
    """Seeds of one rung of a ladder say nothing of another's spread."""
    names = [f"r-math~rows{rows}{seed}" for rows in (100, 300) for seed in ("", "~s18", "~s19")]
    plan = compile_plan(load_study("qwen2-finance", "demo"), only=names, tasks=["math"])
    tables = simulate(tmp_path / "run", plan, lambda end, task: 0.5, items=20)
    assert sorted(replicate_groups(Evidence(tables, RULES))) == [names[:3], names[3:]]


def test_seeds_that_disagree_take_the_certainty_away(seeded: RunTables) -> None:
    alone = without(seeded, ["3a-math~s18", "3a-math~s19"])
    sure = judge_contrasts(Evidence(alone, RULES), [CONTRAST])["c"]
    assert sure.outcome == "better"
    doubtful = judge_contrasts(Evidence(seeded, RULES), [CONTRAST])["c"]
    assert doubtful.seeds is not None
    assert doubtful.comparison is not None
    assert sure.comparison is not None
    assert doubtful.seeds.se > 2 * sure.comparison.se
    assert doubtful.comparison.p >= doubtful.seeds.p
    assert doubtful.comparison.low <= doubtful.seeds.low
    assert doubtful.outcome == "undecided"
    evidence = Evidence(seeded, RULES)
    runs = [gain.point for name in SEEDS if (gain := evidence.gain(name, "zero-shot", "math"))]
    assert doubtful.comparison.estimate == pytest.approx(sum(runs) / 3), "one estimate over seeds, not the luckiest's"
    assert (sure.runs, doubtful.runs) == (1, 3)
    assert sure.statement.startswith("In this one run, c: better by ")
    assert doubtful.statement.startswith("Over 3 runs of each recipe, c: ")


def test_the_variance_of_seeds_by_hand(seeded: RunTables) -> None:
    import numpy as np

    evidence = Evidence(seeded, RULES)
    found = judge_contrasts(evidence, [CONTRAST])["c"]
    assert found.comparison is not None
    assert found.seeds is not None
    own = np.array([v.point for name in SEEDS if (v := evidence.value(name, "math"))])
    # zero-shot is not trained, and no other replicated recipe trained on math: one side carries a third of the variance
    runs = [gain for name in SEEDS if (gain := evidence.gain(name, "zero-shot", "math"))]
    assert found.seeds.se == pytest.approx(np.sqrt(own.var(ddof=1) / 3 + mean(runs).se ** 2))


def test_what_could_have_been_seen_holds_the_seeds(seeded: RunTables) -> None:
    from scipy.stats import t

    found = judge_contrasts(Evidence(seeded, RULES), [CONTRAST])["c"]
    assert found.comparison is not None
    assert found.seeds is not None
    edges = (t.isf(0.05 / 2, part.free) ** 2 * part.variance for part in found.seeds.components)
    rest = (t.isf(0.2, part.free) ** 2 * part.variance for part in found.seeds.components)
    assert found.comparison.mde == pytest.approx(sum(edges) ** 0.5 + sum(rest) ** 0.5)


@pytest.mark.parametrize(
    ("losses", "shape"),
    [
        ([2 - 0.05 * i for i in range(30)], "falling"),
        ([2 - 0.05 * i for i in range(20)] + [1.0 + 0.02 * i for i in range(20)], "rising"),
        ([2 - 0.1 * i for i in range(10)] + [1.0] * 40, "flat"),
        ([1.0, 2.0], "unknown"),
    ],
)
def test_the_shape_of_a_trace(losses: list[float], shape: str) -> None:
    assert advice._shape(losses) == shape


def test_advice_needs_a_sign(seeded: RunTables) -> None:
    class Silent(Evidence):
        pass

    evidence = Silent(without(seeded, lambda cell: True), RULES)
    evidence.tables.curves = dict  # type: ignore[method-assign, assignment]
    assert advice.adjustments(evidence, ["3a-math"], by_test_items=True) == []


def test_what_another_track_left_in_the_folder_counts(seeded: RunTables) -> None:
    """The folder was last run with another selection; the replicates are on disk all the same."""
    plan = compile_plan(load_study("qwen2-finance", "demo"), only=["1-math", "3a-math"], tasks=["math", "sst2"])
    tables = RunTables(seeded.folder, plan)
    assert {cell.experiment for cell in tables.cells.values()} <= {"1-math", "3a-math", "zero-shot"}
    evidence = Evidence(tables, RULES)
    assert ["3a-math", "3a-math~s18", "3a-math~s19"] in replicate_groups(evidence)
    found = judge_contrasts(evidence, [CONTRAST])["c"]
    assert found.seeds == judge_contrasts(Evidence(seeded, RULES), [CONTRAST])["c"].seeds
