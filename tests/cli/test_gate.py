"""`regimen gate`: exit codes, the recorded decision, overriding it, and the study to start from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import validate
from typer.testing import CliRunner

from regimen.cli.app import app
from regimen.errors import UsageError
from regimen.plan import compile_plan
from regimen.results import RunFolder
from regimen.study import load_study
from tests.support.schemas import GATE

ADVICE = {"field": "steps", "what": "train longer (twice the steps)", "change": 2.0, "evidence": "the loss falls"}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    plan = compile_plan(load_study("qwen2-finance", "demo"), track="fast")
    RunFolder(tmp_path / "run").create(plan.study, plan, {"compile": plan.options.to_json()})
    return tmp_path / "run"


def decide(monkeypatch: pytest.MonkeyPatch, decision: str) -> None:
    found = {"decision": decision, "rule": "a rule", "evidence": [{"statement": "so it is", "holds": False}]}
    found |= {"next": "go on", "adjust": [ADVICE] if decision == "not promising" else []}
    monkeypatch.setattr("regimen.analysis.gate.gate_decision", lambda tables: dict(found))


def gate(out: Path, *more: str) -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(app, ["gate", str(out), "--json", *more])
    if isinstance(done.exception, UsageError):
        raise done.exception
    document = json.loads(done.stdout)
    validate(document, GATE)
    assert document == json.loads((out / "gate.json").read_text())
    return done.exit_code, document


def test_before_anything_ran_it_says_not_yet(out: Path) -> None:
    code, document = gate(out)
    assert (code, document["decision"]) == (0, "not yet")
    assert not (out / "study.adjusted.yaml").exists()


def test_promising_and_not_are_exit_codes(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decide(monkeypatch, "promising")
    assert gate(out)[0] == 0
    decide(monkeypatch, "not promising")
    code, document = gate(out)
    assert (code, document["decision"], document["override"]) == (3, "not promising", None)
    adjusted = load_study(out / "study.adjusted.yaml")
    before = RunFolder(out).study()
    assert [e.steps for e in adjusted.experiments] == [2 * e.steps for e in before.experiments]
    assert adjusted.profile == before.profile


def test_an_override_is_recorded_with_its_reason_until_the_rule_changes_its_mind(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide(monkeypatch, "not promising")
    code, document = gate(out, "--override", "promising", "--reason", "the deadline is ours")
    assert (code, document["decision"], document["computed"]) == (0, "promising", "not promising")
    assert document["override"]["reason"] == "the deadline is ours"
    assert gate(out)[1]["decision"] == "promising", "it stands"
    decide(monkeypatch, "not yet")
    assert gate(out)[1]["override"] is None


@pytest.mark.parametrize(
    "more", [["--override", "promising"], ["--reason", "so"], ["--override", "yes", "--reason", "so"]]
)
def test_an_override_needs_both(out: Path, more: list[str]) -> None:
    with pytest.raises(UsageError, match="--override"):
        gate(out, *more)
    assert not (out / "gate.json").exists()


def test_it_is_told_in_words(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decide(monkeypatch, "not promising")
    done = CliRunner().invoke(app, ["gate", str(out)])
    assert done.exit_code == 3
    for text in (
        "not promising\n",
        "rule: a rule",
        "- so it is",
        "next: go on",
        "study.adjusted.yaml",
        "the loss falls",
    ):
        assert text in done.stdout
