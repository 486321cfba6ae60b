"""An adjusted study is a study: it reads back, says what was changed and why, and changes nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from regimen.study import Study, load_study
from regimen.study.adjust import adjusted_study, adjusted_text

RATE = {"field": "schedule.learning_rate", "what": "lower it", "change": 1 / 3, "evidence": "the loss rises"}
STEPS = {"field": "steps", "what": "train longer", "change": 2.0, "evidence": "the loss falls"}
RANK = {"field": "adapter.rank", "what": "raise the rank", "change": 4.0, "evidence": "the loss is flat"}
MIXTURE = {"field": "experiments.mixture", "what": "mix in text", "change": ["3b-glue"], "evidence": "it harms"}


@pytest.fixture(scope="module")
def study() -> Study:
    return load_study("qwen2-finance", "full")


def test_each_change_is_carried_through(study: Study) -> None:
    changed = adjusted_study(study, [RATE, STEPS, RANK, MIXTURE])
    before, after = study.schedule.learning_rate, changed.schedule.learning_rate
    assert (after.pretrain, after.finetune) == pytest.approx((before.pretrain / 3, before.finetune / 3))
    assert [e.steps for e in changed.experiments] == [2 * e.steps for e in study.experiments]
    assert (changed.adapter.rank, changed.adapter.alpha) == (16, 32.0), "alpha / rank stays"
    assert [e.legs and e.legs[0].mixture for e in changed.experiments] == [
        e.legs and e.legs[0].mixture for e in study.experiments
    ]
    assert adjusted_study(study, []) == study


def test_the_file_reads_back_and_says_why(study: Study, tmp_path: Path) -> None:
    path = tmp_path / "study.adjusted.yaml"
    path.write_text(adjusted_text(study, [RATE, STEPS, MIXTURE]))
    assert load_study(path) == adjusted_study(study, [RATE, STEPS, MIXTURE])
    head = [line for line in path.read_text().splitlines() if line.startswith("#")]
    assert "#   because the loss rises" in head
    assert "# - experiments.mixture: mix in text" in head
    assert "Nothing in the evidence" in adjusted_text(study, [])


def test_limits_are_kept(study: Study) -> None:
    wild = adjusted_study(study, [RATE | {"change": 1e6}, RANK | {"change": 1e6}])
    assert Study.model_validate(wild.model_dump()).adapter.rank == 1024
