"""A page of 500 experiments on ten tasks stays under 6 MB: large blocks have limits; what is left out is said."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from regimen.report import items_section as items
from regimen.report import shell
from regimen.report.compare_section import FINE, PAIRED, PairedTask
from regimen.report.curves_section import ALL_POINTS, LossCurve, StageEnd
from regimen.report.item_answers import BUDGET
from regimen.report.payload import packed
from regimen.report.run_reading import RunReading
from regimen.report.scored_ends import COLUMNS, Columns, Scored
from regimen.results.tables import Cell
from regimen.study import EndPoint, load_study

EXPERIMENTS, TASKS, ITEMS = 500, 10, 40
WHOLE = 6_000_000  # bytes of the page
REST = (
    1_500_000  # what the other sections and the libraries take: 1.1 MB of the page that benchmarks/reporting measured
)


@dataclass(frozen=True)
class Made(Scored):
    """An evaluation whose item rows are made up, a fifth of its answers its own."""

    def rows(self) -> Columns:
        """Rows as a file would hold them."""
        luck = random.Random(f"{self.id} {self.cell.task}")
        right = [luck.random() < 0.5 + 0.4 * (at / ITEMS) for at in range(ITEMS)]
        wrote = [
            f"answer {luck.randrange(10**9)}" if luck.random() < 0.2 else ("yes" if one else "no") for one in right
        ]
        given: dict[str, list[object]] = {name: [None] * ITEMS for name in COLUMNS}
        given |= {
            "item_id": [f"{self.cell.task}-{at:04d}" for at in range(ITEMS)],
            "target": ["yes"] * ITEMS,
            "prediction": list(wrote),
            "score": [float(one) for one in right],
            "logprobs": [[-luck.random(), -luck.random()] for _ in range(ITEMS)],
        }
        return given

    def evaluation(self) -> None:
        """No stage, so that no prompts are looked for."""
        return


@pytest.fixture(scope="module")
def tasks() -> Mapping[str, Any]:
    known = load_study("qwen2-finance", "demo").panel("main")
    assert len(known) == TASKS
    return known


@pytest.fixture(scope="module")
def ends(tasks: Mapping[str, Any]) -> list[Made]:
    names = [f"tune-{number}" for number in range(EXPERIMENTS)]
    reading = cast(RunReading, None)
    return [
        Made(
            reading,
            Cell(EndPoint(name), "3A", id_, "main", task.group, task.headline, {}, ITEMS, Path("evaluate"), "lora"),
            name,
            f"Tuning {name}",
        )
        for id_, task in tasks.items()
        for name in names
    ]


def test_past_the_budget_the_page_has_the_most_disagreed_items_says_so_and_names_the_file(
    tab: Any, tasks: Mapping[str, Any], ends: list[Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = BUDGET // 5  # for a fifth of the items that a page of this size would have to leave out
    monkeypatch.setattr(items, "BUDGET", budget)
    section = items.items_of(tasks, ends)
    assert section is not None
    blocks = [packed(value) for name, value in section.blocks.items() if name != "items"]
    assert len(blocks) == TASKS
    assert sum(map(len, blocks)) <= budget
    assert sum(map(len, blocks)) > budget * 0.8, "what there is room for is used"
    listed = cast(list[dict[str, Any]], section.blocks["items"])
    assert all(10 <= one["carried"] < one["total"] == ITEMS and one["ends"] == EXPERIMENTS for one in listed)
    assert "stages/evaluate-*/items.parquet" in section.html
    path = tmp_path / "page.html"
    path.write_text(shell.page("Large", [section]), encoding="utf-8")
    tab.goto(path.as_uri())
    tab.wait_for_selector("#items.drawn")
    said = tab.inner_text("#items .note")
    assert f"carries the {listed[0]['carried']} of {ITEMS} items on which the models disagree most" in said
    assert "stages/evaluate-*/items.parquet" in said
    tab.fill("#items input[type=search] >> nth=0", "0007")
    tab.wait_for_function("() => / of /.test(document.querySelector('#items output').textContent)")
    assert tab.complaints == []


def test_answers_pairs_and_curves_of_500_experiments_fit_together() -> None:
    draws = np.random.default_rng(5)
    pairs = [
        PairedTask(
            id=f"t{number}",
            title=f"Task {number}",
            metric="accuracy",
            unit="share",
            less=False,
            values=[round(float(value), 6) for value in draws.random(EXPERIMENTS)],
            fine=1e-5,
            widths=[[int(w) for w in draws.integers(FINE // 3, FINE, EXPERIMENTS - 1 - at)] for at in range(PAIRED)],
        )
        for number in range(TASKS)
    ]
    points = ALL_POINTS // EXPERIMENTS
    curves = [
        LossCurve(
            id=f"tune-{number}",
            title=f"Tuning {number}",
            phase="tune",
            start_from=None,
            steps=[(at + 1) * 40 for at in range(points)],
            losses=[round(float(loss), 5) for loss in 1 + draws.random(points)],
            each=40,
            broken=0,
            ends=[StageEnd(points * 40, 10**7, 1.5)],
            legs=[points * 40],
            validation=[],
            kept=[],
            last=1.25,
        )
        for number in range(EXPERIMENTS)
    ]
    sizes = {"answers": BUDGET, "pairs": len(packed(pairs)), "curves": len(packed(curves)), "rest": REST}
    assert sum(sizes.values()) < WHOLE, sizes
