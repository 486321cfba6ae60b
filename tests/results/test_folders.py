"""Stage and run folders: markers last, specs checked, one driver, nothing half-written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from regimen.errors import RunFolderError
from regimen.files import write_json, write_once, write_text
from regimen.plan import Plan, compile_plan
from regimen.results import Facts, Ledger, Outcome, RunFolder, StageFolder, TrainedFacts, read_ledger, read_outcome
from regimen.results.facts import parse_facts
from regimen.results.outcomes import differences
from regimen.study import dump_study, load_study
from tests.support.studies import with_fields


@pytest.fixture(scope="module")
def plan() -> Plan:
    return compile_plan(load_study("qwen2-finance", "demo"), only=["1-sst2", "3a-sst2"], tasks=["sst2"])


def facts_with(kind: str, count: int) -> Facts:
    return parse_facts(kind, {"task": "any", "folder": "none", "items": count, "rows": count})


def outcome_of(plan: Plan) -> Outcome:
    stage = next(iter(plan.stages.values()))
    return Outcome(stage.fingerprint, stage.kind, stage.label, "done", 1.0, 3.5, facts=facts_with(stage.kind, 3))


def test_a_study_that_would_not_be_read_back_is_not_written(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = dump_study(plan.study) + f"seed: {2**40}\n"
    folder = RunFolder(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr("regimen.results.run_folder.dump_study", lambda study: broken)
        with pytest.raises(RunFolderError, match="would not be read back from its run folder: .*seed"):
            folder.create(plan.study, plan, {})
    assert not (folder.path / "study.yaml").exists()
    assert not list(folder.path.glob(".*.tmp"))
    folder.create(plan.study, plan, {})
    assert folder.study() == plan.study


def test_a_stage_is_done_only_when_its_marker_stands(plan: Plan, tmp_path: Path) -> None:
    stage = next(iter(plan.stages.values()))
    folder = StageFolder(tmp_path, stage)
    assert folder.outcome() is None
    path = folder.open()
    assert path.name == f"{stage.kind}-{stage.label}-{stage.fingerprint}"
    write_json(path / "outcome.json", {"anything": 1})
    assert folder.outcome() is None
    folder.commit(outcome_of(plan))
    assert folder.outcome() == outcome_of(plan)
    assert folder.outcome().seconds == 2.5  # type: ignore[union-attr]
    assert (path / "DONE").read_text() == "done\n"


def test_the_marker_is_written_after_the_outcome(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    folder = StageFolder(tmp_path, next(iter(plan.stages.values())))
    folder.open()
    monkeypatch.setattr("regimen.results.stage_folder.write_json", lambda path, value: order.append(path.name))
    monkeypatch.setattr("regimen.results.stage_folder.write_once", lambda path, text: order.append(path.name))
    folder.commit(outcome_of(plan))
    assert order == ["outcome.json", "DONE"]


def test_a_stage_is_committed_once(plan: Plan, tmp_path: Path) -> None:
    folder = StageFolder(tmp_path, next(iter(plan.stages.values())))
    path = folder.open()
    (path / ".outcome.json.0123abcd.tmp").write_text("half of it")
    assert folder.commit(outcome_of(plan))
    assert not list(path.glob(".*.tmp")), "what a killed writer left is gone"
    before = (path / "DONE").stat().st_mtime_ns
    again = replace(outcome_of(plan), facts=facts_with(outcome_of(plan).kind, 4))
    assert not folder.commit(again)
    assert folder.outcome() == outcome_of(plan)
    assert (path / "DONE").stat().st_mtime_ns == before
    assert not write_once(path / "DONE", "other")


def test_a_clock_set_back_gives_no_negative_time(plan: Plan) -> None:
    assert replace(outcome_of(plan), started=100.0, ended=40.0).seconds == 0.0


def test_a_folder_of_another_stage_is_refused_with_the_fields_that_differ(plan: Plan, tmp_path: Path) -> None:
    stage = next(iter(plan.stages.values()))
    folder = StageFolder(tmp_path, stage)
    path = folder.open()
    spec = json.loads((path / "spec.json").read_text())
    spec["identity"]["seed"] = 99
    write_json(path / "spec.json", spec)
    with pytest.raises(RunFolderError, match="another stage \\(seed: 99 there, 17 here\\); use another --out"):
        folder.open()
    (path / "spec.json").write_text("{")
    with pytest.raises(RunFolderError, match=r"spec.json is damaged"):
        folder.open()


@pytest.mark.parametrize("part", range(16))
def test_a_truncated_outcome_is_named(part: int, plan: Plan, tmp_path: Path) -> None:
    folder = StageFolder(tmp_path, next(iter(plan.stages.values())))
    path = folder.open()
    folder.commit(outcome_of(plan))
    whole = (path / "outcome.json").read_bytes()
    (path / "outcome.json").write_bytes(whole[: len(whole) * part // 16])
    with pytest.raises(RunFolderError, match="run the same command again"):
        read_outcome(path)


def test_a_run_folder_belongs_to_one_study(plan: Plan, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create(plan.study, plan, {"compile": {}})
    folder.create(plan.study, plan, {"compile": {}})
    assert folder.study() == plan.study
    other = with_fields(plan.study, seed=3)
    with pytest.raises(RunFolderError, match="belongs to another study: seed is 17 there and 3 here"):
        folder.create(other, plan, {})
    more = with_fields(plan.study, tracks={"full": ("*",)})
    folder.create(more, plan, {})
    assert folder.study().tracks == {"full": ("*",)}, "tasks, tracks and experiments may be added"


def test_a_folder_with_other_things_in_it_is_left_alone(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(RunFolderError, match="is not empty and not a run folder"):
        RunFolder(tmp_path).create(plan.study, plan, {})
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(RunFolderError, match=r"is no run folder: it has no study.yaml"):
        RunFolder(tmp_path).study()


def test_only_one_driver_holds_a_folder(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert not folder.is_locked()
    with folder.locked():
        assert RunFolder(tmp_path).is_locked()
        with pytest.raises(RunFolderError, match=r"is in use by process \d+ on "), RunFolder(tmp_path).locked():
            raise AssertionError("two drivers")
    assert not folder.is_locked()
    with folder.locked():
        assert folder.is_locked()


def test_the_ledger_keeps_states_workers_and_errors(tmp_path: Path, plan: Plan) -> None:
    ledger = Ledger(tmp_path)
    ledger.enter([("aa", "one", "train", "c1"), ("bb", "two", "evaluate", None)])
    ledger.started(["aa"], "worker-0")
    ledger.started(["aa"], "worker-1")
    ledger.ended(Outcome("aa", "train", "one", "done", 1.0, 2.0, TrainedFacts()))
    ledger.set_state(["bb"], "failed", "broken")
    ledger.close()
    rows = read_ledger(tmp_path)
    assert (rows["aa"]["state"], rows["aa"]["worker"]) == ("done", "worker-1")
    assert (rows["bb"]["state"], rows["bb"]["error"]) == ("failed", "broken")
    reopened = Ledger(tmp_path)
    reopened.enter([("aa", "one", "train", "c1"), ("bb", "two", "evaluate", None)])
    reopened.close()
    assert {name: row["state"] for name, row in read_ledger(tmp_path).items()} == {"aa": "done", "bb": "pending"}


def test_nothing_half_written_is_ever_seen(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def fail(scratch: Path) -> None:
        scratch.write_text("ne")
        raise OSError("disk full")

    from regimen.files import write_atomically

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"], "no scratch file stays behind"


def test_differences_name_the_leaves() -> None:
    assert differences({"a": 1, "b": {"c": 2, "d": 3}}, {"a": 1, "b": {"c": 9}, "e": 4}) == [
        ("b.c", 2, 9),
        ("b.d", 3, None),
        ("e", None, 4),
    ]
