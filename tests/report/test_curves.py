"""Curves: losses are those of the run folder, thinned without bias; choice, axes and smoothing work in a browser."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from regimen.plan import Plan, TrainSpec
from regimen.report import shell
from regimen.report.curves_section import POINTS, LossCurve, curves_section, loss_curve
from regimen.report.run_reading import Reading, read
from regimen.results import RunFolder
from tests.support.inline_runs import change_facts
from tests.support.made_reports import recorded_anew
from tests.support.patience import patient

LADDER, LEGS = "2b-fiqa-10k", "3c-6-glue"


def _trainings(plan: Plan, name: str) -> list[TrainSpec]:
    planned = next(one for one in plan.experiments if one.experiment.id == name)
    return [stage for one in planned.trainings if isinstance(stage := plan.stages[one], TrainSpec)]


@pytest.fixture(scope="module")
def reading(finished: RunFolder, plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Reading:
    """The made-up run with steps and tokens in the outcomes, two validation points and a loss that is not finite."""
    path = tmp_path_factory.mktemp("curves") / "run"
    shutil.copytree(finished.path, path)
    folder = RunFolder(path)
    for stage in plan.stages.values():
        if isinstance(stage, TrainSpec):
            first, last = stage.first_step, stage.last_step
            facts = {"first_step": first, "last_step": last, "tokens": 512 * (last - first)}
            change_facts(folder.folder(stage), **facts)
    end = _trainings(plan, LADDER)[-1]
    points = [{"step": end.first_step + 1, "loss": 1.25, "scores": {}}, {"step": end.last_step, "loss": 1.5}]
    change_facts(folder.folder(end), validation=points, kept={"step": end.first_step + 1, "value": 1.25})
    trace = folder.folder(end).path / "metrics.jsonl"
    lines = [json.loads(line) for line in trace.read_text().splitlines()]
    lines[0]["loss"] = math.nan
    trace.write_text("".join(json.dumps(line) + "\n" for line in lines))
    recorded_anew(trace.parent)
    return read(folder, plan)


@pytest.fixture(scope="module")
def place(reading: Reading, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of this section alone."""
    section = curves_section(reading)
    assert section is not None
    path = tmp_path_factory.mktemp("curves") / "page.html"
    path.write_text(shell.page("Curves", [section]), encoding="utf-8")
    return path


def _curve(reading: Reading, name: str) -> LossCurve:
    found = loss_curve(reading, reading.planned[name])
    assert found is not None
    return found


def _logged(reading: Reading, name: str) -> list[float]:
    """Every loss of an experiment, from its trace files."""
    folder = reading.tables.folder
    files = [folder.folder(stage).path / "metrics.jsonl" for stage in _trainings(reading.plan, name)]
    return [json.loads(line)["loss"] for path in files for line in path.read_text().splitlines()]


@pytest.mark.parametrize("name", [LADDER, LEGS, "3a-sst2"])
def test_points_are_the_means_of_all_logged_losses(reading: Reading, name: str) -> None:
    curve, logged = _curve(reading, name), _logged(reading, name)
    assert len(curve.steps) <= POINTS
    assert curve.steps[-1] == len(logged) == sum(s.last_step - s.first_step for s in _trainings(reading.plan, name))
    before = 0
    for step, loss in zip(curve.steps, curve.losses, strict=True):
        finite = [one for one in logged[before:step] if math.isfinite(one)]
        assert loss == (pytest.approx(sum(finite) / len(finite), abs=1e-5) if finite else None)
        before = step
    assert curve.broken == sum(not math.isfinite(one) for one in logged) == (1 if name == LADDER else 0)


def test_long_trainings_are_thinned_and_every_step_counts(reading: Reading) -> None:
    curve, logged = loss_curve(reading, reading.planned[LADDER], points=7), _logged(reading, LADDER)
    assert curve is not None
    assert len(curve.steps) <= 7
    assert curve.each == math.ceil(len(logged) / 7)
    weights = [step - before for before, step in zip([0, *curve.steps], curve.steps, strict=False)]
    broken = next(place for place, loss in enumerate(logged) if not math.isfinite(loss))
    holder = next(place for place, step in enumerate(curve.steps) if step > broken)
    weights[holder] -= 1
    total = sum(weight * loss for weight, loss in zip(weights, curve.losses, strict=True) if loss is not None)
    assert total == pytest.approx(sum(one for one in logged if math.isfinite(one)), abs=1e-5 * len(logged))


def test_stages_give_tokens_legs_and_validation_their_places(reading: Reading) -> None:
    legs = _curve(reading, LEGS)
    ends = [stage.last_step for stage in _trainings(reading.plan, LEGS) if stage.part == "cooldown"]
    assert list(legs.legs) == [sum(ends[: n + 1]) for n in range(len(ends))]
    assert len(legs.legs) == 3
    assert [end.tokens for end in legs.ends] == [512 * end.step for end in legs.ends]
    last = _trainings(reading.plan, LADDER)[-1]
    curve = _curve(reading, LADDER)
    assert [(point.step, point.loss) for point in curve.validation] == [
        (last.first_step + 1, 1.25),
        (last.last_step, 1.5),
    ]
    assert curve.kept == [last.first_step + 1]


def _drawn(tab: Any) -> list[list[float | None]]:
    return tab.evaluate("document.querySelector('.plot').plot.data.map(one => [...one])")


def _go(tab: Any, place: Path, address: str) -> None:
    tab.goto("about:blank")
    tab.goto(f"{place.as_uri()}#curves?{address}")
    tab.wait_for_selector("#curves.drawn .plot canvas", timeout=patient(30_000))


def test_a_reader_chooses_experiments_axis_and_smoothing(tab: Any, place: Path, reading: Reading) -> None:
    curve = _curve(reading, LADDER)
    _go(tab, place, f"experiments={LADDER}&smooth=0")
    steps, losses, validation, kept = _drawn(tab)
    assert steps == list(curve.steps)
    assert losses == list(curve.losses)
    assert [one for one in validation if one is not None] == [1.25, 1.5]
    assert [one for one in kept if one is not None] == [1.25]
    cells = tab.eval_on_selector_all("#curves tbody tr >> nth=0", "rows => [...rows[0].cells].map(c => c.textContent)")
    assert cells[4:7] == ["1.250", f"{curve.kept[0]}", "1"]
    tab.select_option("#curves select >> nth=0", "tokens")
    tab.wait_for_function("() => location.hash.includes('by=tokens')")
    tab.wait_for_function(f"() => document.querySelector('.plot').plot.data[0].at(-1) === {512 * curve.steps[-1]}")
    tab.fill("#curves .picker input", "3a-sst2")
    tab.wait_for_function("() => document.querySelectorAll('#curves tbody tr').length === 2")
    assert f"experiments={LADDER}%2C3a-sst2" in tab.url
    tab.click("#curves .picker .chosen >> nth=0")
    tab.wait_for_function("() => document.querySelectorAll('#curves tbody tr').length === 1")
    assert tab.complaints == []


def test_smoothing_is_a_moving_average_that_starts_with_the_first_loss(tab: Any, place: Path, reading: Reading) -> None:
    _go(tab, place, "experiments=3a-sst2&smooth=0.8")
    _, logged, smooth = _drawn(tab)
    mean = weight = 0.0
    for loss, value in zip(logged, smooth, strict=True):
        assert loss is not None
        mean, weight = 0.8 * mean + 0.2 * loss, 0.8 * weight + 0.2
        assert value == pytest.approx(mean / weight)
    assert logged == list(_curve(reading, "3a-sst2").losses)
    tab.fill("#curves input[type=range]", "0.2")
    assert "smooth=0.2" in tab.url
    assert _drawn(tab)[2][1] != smooth[1]


def test_the_cursor_reads_losses_and_an_unknown_experiment_is_named(tab: Any, place: Path) -> None:
    _go(tab, place, "experiments=3a-sst2,no-such-one&smooth=0")
    assert "Without a training here: no-such-one." in tab.inner_text("#curves .warning")
    box = tab.locator(".plot .u-over").bounding_box()
    tab.mouse.move(box["x"] + 2, box["y"] + 40)
    tab.wait_for_function("() => document.querySelector('#curves tbody tr').cells[7].textContent !== ''")
    cells = tab.eval_on_selector("#curves tbody tr", "row => [...row.cells].map(c => c.textContent)")
    assert cells[7] == cells[2], "at the left edge stands the first loss"
    assert tab.complaints == []
