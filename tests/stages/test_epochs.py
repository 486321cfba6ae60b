"""Epochs are counted in steps: of what a run would read, once while no file changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from regimen import compile_plan, load_study
from regimen.api import count_epochs
from regimen.errors import StudyError, UsageError
from regimen.files import cache_home
from regimen.stages import epochs as counting
from regimen.study import Study, dump_study
from tests.support.studies import ON_THE_PACKAGED_BASE

SOURCES = """\
sources:
  sums: {files: [sums.jsonl], form: {prompt: "{{ q }}", answer: "{{ a }}"}, held_out: {share: 0.2}}
  talk: {files: [talk.jsonl], form: {text: "{{ t }}"}}
tasks:
  sums: {title: Sums, group: g, source: [sums], scoring: generation, metrics: [exact-match], generation: {tokens: 4}}
experiments:
"""
LEG = "  - {phase: p, title: t, epochs: 2, finetune: {once: sums}, vary: {batch.packing: [false]}}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REGIMEN_CACHE", str(tmp_path / "cache"))
    write_sums(tmp_path, 50)
    talk = [json.dumps({"t": f"Line {n} of a talk that has no end."}) for n in range(40)]
    (tmp_path / "talk.jsonl").write_text("\n".join(talk))
    return tmp_path


def write_sums(folder: Path, count: int) -> None:
    rows = [json.dumps({"q": f"{n} and {n} =", "a": f"{2 * n}"}) for n in range(count)]
    (folder / "sums.jsonl").write_text("\n".join(rows))


def loaded(folder: Path, groups: str) -> Study:
    (folder / "study.yaml").write_text(ON_THE_PACKAGED_BASE + SOURCES + groups)
    return load_study(folder / "study.yaml")


def test_an_epoch_is_every_block_once_a_part_of_a_step_one_more(folder: Path) -> None:
    """Without packing every row is a block, so two epochs of n rows at 2 a step are n steps."""
    study = count_epochs(loaded(folder, LEG), here=folder)
    prepared = next(iter(json.loads((cache_home() / counting.COUNTS).read_text()).values()))
    (experiment,) = study.experiments
    assert 30 < prepared < 50, "held-out rows are not read"
    assert (experiment.steps, experiment.legs[0].epochs) == (prepared, 2)
    plan = compile_plan(study)
    assert plan.to_json()["experiments"][0]["legs"][0]["epochs"] == 2  # type: ignore[index]


def test_a_mixture_reads_as_many_sequences_as_its_sources_have_blocks(folder: Path) -> None:
    groups = '  - {phase: p, title: t, epochs: 1, pretrain: {talk: talk, sums: sums, both: "talk:90 sums:10"}}\n'
    steps = {e.id: e.steps for e in count_epochs(loaded(folder, groups), here=folder).experiments}
    assert steps["talk"] + steps["sums"] - 1 <= steps["both"] <= steps["talk"] + steps["sums"]


def test_nothing_is_counted_twice_while_no_file_changes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = count_epochs(loaded(folder, LEG), here=folder).experiments[0].steps
    with monkeypatch.context() as patch:
        patch.setattr(counting, "_counted", lambda *args: pytest.fail("counted again"))
        assert count_epochs(loaded(folder, LEG), here=folder).experiments[0].steps == before
    write_sums(folder, 100)
    assert count_epochs(loaded(folder, LEG), here=folder).experiments[0].steps > before


def test_a_counted_study_is_a_file_with_steps(folder: Path) -> None:
    study = count_epochs(loaded(folder, LEG), here=folder)
    (folder / "counted.yaml").write_text(dump_study(study))
    assert load_study(folder / "counted.yaml") == study == count_epochs(study)


def test_epochs_that_were_not_counted_are_not_compiled(folder: Path) -> None:
    with pytest.raises(UsageError, match="the epochs of 'once~packing-false' have not been counted in steps"):
        compile_plan(loaded(folder, LEG))


def test_steps_and_epochs_are_not_both_given(folder: Path) -> None:
    with pytest.raises(StudyError, match=r"line 11.*'once' has both `steps` and `epochs`; give one of them"):
        loaded(folder, LEG.replace("epochs: 2", "epochs: 2, steps: 3"))
