"""A crossed design: every strategy has the same sources, steps and rows, whatever the profile and the axes."""

from __future__ import annotations

from pathlib import Path

import pytest

from regimen import compile_plan, load_study
from regimen.errors import StudyError
from regimen.study import Study, dump_study
from regimen.study.crossed import CROSSED_STRATEGIES
from tests.support.studies import MINIMAL

GROUP = '- {phase: tune, title: "Tune {sources}", steps: [20, 40], finetune: {tune: mood}}'


def crossed(folder: Path, sets: str = "x: [mood, news]", more: str = "", steps: int = 40) -> Study:
    assert GROUP in MINIMAL
    group = (
        f'- {{phase: tune, title: "{{set}} {{strategy}}", kind: pretrain, steps: {steps}, crossed: {{{sets}}}{more}}}'
    )
    (folder / "study.yaml").write_text(MINIMAL.replace(GROUP, group), encoding="utf-8")
    return load_study(folder / "study.yaml")


@pytest.mark.parametrize("profile", ["full", "pilot", "demo"])
def test_every_strategy_spends_the_same_steps_and_rows_on_each_source(profile: str) -> None:
    study = load_study("qwen2-finance", profile)
    assert len(study.crossed) == 6
    for cells in study.crossed.values():
        assert tuple(cells) == CROSSED_STRATEGIES
        assert {len(recipe.runs) for recipes in cells.values() for recipe in recipes} == {3}
        spent = []
        for recipes in cells.values():
            steps: dict[str, float] = {}
            for recipe in recipes:
                assert recipe.first.rows == {"full": 3000}.get(profile, 300)
                for leg in recipe.first.legs:
                    for source, share in leg.shares.items():
                        steps[source] = steps.get(source, 0) + share * leg.steps
            spent.append(steps)
        assert len(spent) == 4
        assert all(one == spent[0] for one in spent)
        assert len(set(spent[0].values())) == 1


def test_the_orders_are_two_and_begin_with_what_trains_alone(tmp_path: Path) -> None:
    study = crossed(tmp_path)
    ids = ["x-separate-mood", "x-separate-news", "x-mixed", "x-sequential", "x-sequential-reversed"]
    assert [e.id for e in study.experiments if e.cell] == ids
    orders = [[next(iter(leg.mixture)) for leg in study.experiment(name).legs] for name in ids[3:]]
    assert orders == [["mood", "news"], ["news", "mood"]]
    plan = {p.experiment.id: p for p in compile_plan(study, only=["x-*"]).experiments}
    alone = {plan[name].ends[0] for name in ids[:2]}
    assert {plan[name].ends[0] for name in ids[3:]} == alone, "the first leg of a sequence is not trained again"


def test_a_design_survives_dumping_and_axes_keep_designs_apart(tmp_path: Path) -> None:
    study = crossed(tmp_path, more=", vary: {learning_rate: [1.0e-3, 2.0e-3]}, seeds: 2")
    assert list(study.crossed) == ["x~lr1e-3", "x~lr2e-3"]
    assert [[len(r.runs) for r in recipes] for recipes in study.crossed["x~lr1e-3"].values()] == [[2, 2], [2], [2], [2]]
    (tmp_path / "dumped.yaml").write_text(dump_study(study), encoding="utf-8")
    assert load_study(tmp_path / "dumped.yaml") == study


@pytest.mark.parametrize(
    ("sets", "steps", "message"),
    [
        ("x: [mood, news]", 41, r"the set 'x' has 2 sources, and 41 steps are no multiple of that; give 40 or 42"),
        ("x: [mood]", 40, "at least 2 items"),
        ("x: [mood, mood]", 40, "a source appears twice in the set mood, mood"),
        ("x: [mood, nowhere]", 40, "no source 'nowhere'"),
    ],
)
def test_what_cannot_be_crossed_is_refused(tmp_path: Path, sets: str, steps: int, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        crossed(tmp_path, sets, steps=steps)
