"""Trackers: what was measured can be read back from TensorBoard; one that fails is said once and stops nothing."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from regimen.errors import UsageError
from regimen.execution import tracking
from regimen.execution.events import Note, RunEvent, StageChanged
from regimen.execution.tracker_messages import Begin, Scores, TrackerMessage
from regimen.execution.tracker_sink import carry
from regimen.plan import EvaluateSpec, Plan, TrainSpec, compile_plan
from regimen.results import Outcome, RunFolder
from regimen.results.facts import parse_facts
from regimen.study import load_study
from tests.support.patience import within

LOSSES = [2.5, 2.25, 1.875]  # exact in float32


@pytest.fixture(scope="module")
def plan() -> Plan:
    return compile_plan(load_study("qwen2-finance", "demo"), only=["3a-sst2"], tasks=["sst2"])


def ended(plan: Plan, name: str, **facts: Any) -> StageChanged:
    spec = plan.stages[name]
    outcome = Outcome(
        fingerprint=name,
        kind=spec.kind,
        label=spec.label,
        status="done",
        started=0,
        ended=1,
        facts=parse_facts(spec.kind, {"task": "any", **facts}),
    )
    return StageChanged(name, "done", outcome)


def tell(plan: Plan, out: Path, *names: str, stopping: bool = False) -> list[str]:
    """One training and one evaluation end; returns the notes that the run was told."""
    folder = RunFolder(out)
    training = next(s for s in plan.stages.values() if isinstance(s, TrainSpec) and s.part == "cooldown")
    evaluation = next(s for s in plan.stages.values() if isinstance(s, EvaluateSpec) and s.trained)
    metrics = folder.folder(training).path / "metrics.jsonl"
    metrics.parent.mkdir(parents=True)
    rows = [json.dumps({"step": step, "loss": loss, "lr": 1e-4, "tokens": 64}) for step, loss in enumerate(LOSSES, 8)]
    metrics.write_text("\n".join(rows) + "\n")
    events: list[RunEvent] = []
    with tracking.tracked(names, plan, folder, events.append, lambda: stopping) as observe:
        observe(ended(plan, training.fingerprint))
        observe(ended(plan, evaluation.fingerprint, metrics={"accuracy": 0.75, "f1": None}))
    assert sum(isinstance(event, StageChanged) for event in events) == 2, "the run itself gets every event"
    return [event.text for event in events if isinstance(event, Note)]


def test_what_tensorboard_was_given_can_be_read_back(plan: Plan, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra `trackers` is not installed")
    assert tell(plan, tmp_path, "tensorboard", "tensorboard") == []
    read = (
        "import json, sys; from tensorboard.backend.event_processing.event_accumulator import EventAccumulator as E\n"
        "e = E(sys.argv[1]); e.Reload()\n"
        "print(json.dumps({tag: [[s.step, s.value] for s in e.Scalars(tag)] for tag in e.Tags()['scalars']}))"
    )
    folder = tmp_path / "trackers" / plan.study.study
    done = subprocess.run([sys.executable, "-c", read, str(folder)], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert {tag.split("/")[0] for tag in found} == {"loss", "accuracy"}, "a score that is none is no number"
    losses = next(values for tag, values in found.items() if tag.startswith("loss/3a-sst2-cooldown-"))
    assert losses == [[8, 2.5], [9, 2.25], [10, 1.875]]
    (score,) = next(values for tag, values in found.items() if tag.startswith("accuracy/3a-sst2-sst2-"))
    trained = [s.last_step for s in plan.stages.values() if isinstance(s, TrainSpec)]
    assert score == [max(trained), 0.75]


def test_a_tracker_that_is_not_installed_is_said_once(plan: Plan, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra `trackers` is not installed")
    (tmp_path / "trackers").write_text("in the way of a folder")
    missing = next(name for name in ("wandb", "mlflow", "trackio") if not _is_installed(name))
    notes = tell(plan, tmp_path, missing, "tensorboard")
    assert (
        notes[0] == f"tracker {missing} is left out: the package {missing} is not installed; the run goes on without it"
    )
    assert notes[1].startswith("tracker tensorboard is left out: ")
    assert len(notes) == 2


def _is_installed(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None


@pytest.mark.parametrize(
    ("sink", "note"),
    [("import time; time.sleep(60)", "were not done after 0 s"), ("raise SystemExit(3)", "ended with exit code 3")],
)
def test_a_tracker_that_hangs_or_dies_is_ended(
    sink: str, note: str, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = subprocess.Popen

    def other(command: list[str], **how: Any) -> subprocess.Popen[str]:
        return real([command[0], "-c", sink], **how)

    monkeypatch.setattr(tracking.subprocess, "Popen", other)
    monkeypatch.setattr(tracking, "INTERRUPTED_SECONDS", 0.4 if "sleep" in sink else 20.0)
    with within(10):
        notes = tell(plan, tmp_path, "tensorboard", stopping=True)
    (said,) = notes
    assert note in said
    assert os.fspath(tmp_path / "logs" / "trackers.log") in said


def test_one_that_raises_is_dropped_and_the_other_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Tracker:
        def __init__(self, name: str):
            self.name, self.rows, self.finished = name, [], False

        def log(self, values: dict[str, float], step: int | None = None) -> None:
            if self.name == "mlflow":
                raise SystemExit("no server\nat all")
            self.rows.append((values, step))

        def finish(self) -> None:
            self.finished = True

    made: dict[str, Tracker] = {}
    monkeypatch.setattr(
        "regimen.execution.tracker_sink.begin", lambda name, about: made.setdefault(name, Tracker(name))
    )
    lines: list[TrackerMessage] = [Begin(("mlflow", "trackio"), "p", str(tmp_path))]
    lines += [Scores(f"x{n}", {"f1": 0.5, "perplexity": float("inf")}, n) for n in (9, 3)]
    out = io.StringIO()
    carry([line.to_line() for line in lines], out)
    (said,) = out.getvalue().splitlines()
    assert json.loads(said)["error"] == "tracker mlflow is left out: no server; the run goes on without it"
    assert made["trackio"].rows == [({"f1/x9": 0.5, "step": 9}, None), ({"f1/x3": 0.5, "step": 3}, None)]
    assert made["trackio"].finished
    assert not made["mlflow"].finished


def test_a_tracker_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="--tracker is 'tensorbord'; it must be one of tensorboard, wandb, mlflow"):
        tracking.check_trackers(["tensorbord"])
