"""Tests that a study gains later are kept out of training as well: what had read one of them is trained again."""

from __future__ import annotations

import json
from pathlib import Path

from regimen.engine.checkpoints import checkpoint_path
from regimen.plan import Plan, compile_plan
from regimen.results import PreparedFacts, RunFolder, TrainedFacts, layout
from regimen.stages.renewal import must_look_first, preparations, take_back
from regimen.study import load_study
from tests.support.inline_runs import assert_done, outcome_facts, run_inline
from tests.support.row_files import write
from tests.support.studies import ON_THE_PACKAGED_BASE

WORDS = ["lamp", "mill", "road", "snow", "fish", "barn", "tree", "gate", "rope", "salt", "wind", "coat", "milk"]
STUDY = (
    ON_THE_PACKAGED_BASE
    + """\
sources:
  archive: {files: [archive.jsonl], form: {text: "{{ text }}"}}
  other: {files: [other.jsonl], form: {text: "{{ text }}"}}
  first: &tests
    {split: null, files: [first.jsonl], form: {prompt: "{{ body }}\\nA:", label: {column: y, names: [bad, good]}}}
  later: {<<: *tests, files: [later.jsonl]}
tasks:
  first: &task {title: T, group: g, source: [first], scoring: choice, metrics: [accuracy]}
  #later: {<<: *task, source: [later]}
experiments:
  - {phase: read, title: R, steps: [2, 4], pretrain: {a: archive, b: other}}
"""
)


def text(number: int) -> str:
    return " ".join(WORDS[(number * step) % len(WORDS)] for step in range(1, 13)) + f" {number}"


def plan_of(folder: Path, study: str) -> Plan:
    (folder / "study.yaml").write_text(study)
    return compile_plan(load_study(folder / "study.yaml"))


def test_only_what_had_read_a_new_test_item_is_trained_again(tmp_path: Path) -> None:
    write(tmp_path / "archive.jsonl", [{"text": f"Archive. {text(n)}. End."} for n in range(1, 30)])
    write(tmp_path / "other.jsonl", [{"text": f"{text(n)} and more"} for n in range(40, 60)])
    write(tmp_path / "first.jsonl", [{"body": text(n), "y": 1} for n in (100, 101)])
    write(tmp_path / "later.jsonl", [{"body": text(n), "y": n % 2} for n in (3, 7, 200)])
    out = tmp_path / "run"
    before = plan_of(tmp_path, STUDY)
    assert_done(run_inline(before, out, here=tmp_path))
    grown = plan_of(tmp_path, STUDY.replace("#later", "later"))
    assert {s.fingerprint for s in before.trainings()} == {s.fingerprint for s in grown.trainings()}
    folder = RunFolder(out)
    assert must_look_first(grown, folder)
    run_inline(preparations(grown), out, here=tmp_path)
    taken = {one.stage: one.why for one in take_back(grown, folder)}
    assert taken.pop("a-2-trunk") == "it read 2 rows with test items of later (archive)"
    assert all(name.startswith("a-") for name in taken), "what read other rows stands"
    assert len(taken) == 3, "a second piece of trunk and two cooldowns"
    scheduler = run_inline(grown, out, here=tmp_path)
    assert_done(scheduler)
    again = [s for s in grown.trainings() if s.label.startswith("a-")]
    assert all(outcome_facts(grown, out, s.fingerprint, TrainedFacts).read for s in again)
    assert not must_look_first(grown, folder)
    assert take_back(grown, folder) == []


def test_fewer_tests_take_nothing_back_and_the_blocks_stay(tmp_path: Path) -> None:
    write(tmp_path / "archive.jsonl", [{"text": f"Archive. {text(n)}. End."} for n in range(1, 30)])
    write(tmp_path / "other.jsonl", [{"text": f"{text(n)} and more"} for n in range(40, 60)])
    write(tmp_path / "first.jsonl", [{"body": text(100), "y": 1}])
    write(tmp_path / "later.jsonl", [{"body": text(n), "y": n % 2} for n in (3, 7)])
    out = tmp_path / "run"
    both = plan_of(tmp_path, STUDY.replace("#later", "later"))
    assert_done(run_inline(both, out, here=tmp_path))
    fewer = plan_of(tmp_path, STUDY)
    run_inline(preparations(fewer), out, here=tmp_path)
    assert take_back(fewer, RunFolder(out)) == []
    assert digests(both, out) == digests(fewer, out)


def digests(plan: Plan, out: Path) -> set[str]:
    names = {name for stage in plan.trainings() for name in stage.leg.sources.values()}
    return {outcome_facts(plan, out, name, PreparedFacts).digest for name in names}


def test_checkpoints_of_other_blocks_are_not_gone_on_from(tmp_path: Path) -> None:
    write(tmp_path / "archive.jsonl", [{"text": f"Archive. {text(n)}. End."} for n in range(1, 30)])
    write(tmp_path / "other.jsonl", [{"text": f"{text(n)} and more"} for n in range(40, 60)])
    write(tmp_path / "first.jsonl", [{"body": text(100), "y": 1}])
    out = tmp_path / "run"
    plan = plan_of(tmp_path, STUDY)
    assert_done(run_inline(plan, out, here=tmp_path))
    stage = next(plan.trainings())
    place = RunFolder(out).folder(stage)
    weights = (place.path / "adapter_model.safetensors").read_bytes()
    stale = checkpoint_path(place.path, 1)
    stale.write_bytes(b"of other blocks")
    (place.path / layout.READ).write_text(json.dumps({"archive": "0000"}))
    place.reopen()
    assert_done(run_inline(plan, out, here=tmp_path))
    assert (place.path / "adapter_model.safetensors").read_bytes() == weights
    assert not stale.exists()
