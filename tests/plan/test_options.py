"""The options that a study is compiled with: checked like a file's values, and read back from a run folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from regimen import compile_plan, load_study
from regimen.cli.app import app
from regimen.errors import RunFolderError, UsageError
from regimen.plan import CompileOptions
from regimen.plan.budget import choose_within
from regimen.results import RunFolder

NAMES = st.lists(st.text(max_size=9), max_size=3).map(tuple)
OPTIONS = st.builds(
    CompileOptions, st.text(max_size=9), NAMES, NAMES, st.none() | st.integers(1), st.booleans(), st.integers(1)
)


@given(OPTIONS)
def test_options_are_read_back_from_their_json(options: CompileOptions) -> None:
    assert CompileOptions.from_json(json.loads(json.dumps(options.to_json()))) == options


def test_a_run_json_of_an_older_or_newer_version_is_read() -> None:
    value = {"track": "fast", "only": ["3a-*"], "cohort_width": 4, "to_come": 1}
    assert CompileOptions.from_json(value) == CompileOptions(track="fast", only=("3a-*",), cohort_width=4)


def test_the_plan_knows_its_options() -> None:
    plan = compile_plan(load_study("qwen2-finance", "demo"), track="fast", tasks=["sst2"], eval_items=8)
    assert plan.options == CompileOptions(track="fast", tasks=("sst2",), eval_items=8)
    assert plan.track == "fast"


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("cohort_width", 0, "--cohort-width is 0; it must be at least 1"),
        ("cohort_width", 2.5, "--cohort-width is 2.5; it must be a whole number"),
        ("eval_items", 0, "--eval-items is 0; it must be at least 1"),
        ("eval_items", True, "--eval-items is True; it must be a whole number"),
        ("gpus", -1, "--gpus is -1; it must be at least 1"),
        ("only", "3a-sst2", "--only is the text '3a-sst2'; give a list of names"),
        ("tasks", "sst2", "--tasks is the text 'sst2'; give a list of names"),
    ],
)
def test_a_value_that_no_plan_can_have_is_refused(option: str, value: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        compile_plan(load_study("qwen2-finance", "demo"), **{option: value})


@pytest.mark.parametrize("hours", [float("nan"), float("inf"), 0, -1.0])
def test_a_budget_is_a_number_of_hours(hours: float) -> None:
    with pytest.raises(UsageError, match=r"--budget-hours is .*; it must be a number of hours above 0"):
        choose_within(compile_plan(load_study("qwen2-finance", "demo"), track="fast"), hours)


@pytest.mark.parametrize("option", [["--seed", str(2**40)], ["--eval-items", "0"], ["--budget-hours", "nan"]])
def test_the_command_refuses_before_it_writes(option: list[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = CliRunner().invoke(app, ["run", "qwen2-finance", "--profile", "demo", "--out", str(out), *option])
    assert isinstance(result.exception, UsageError)
    assert f"{option[0]} is {option[1]}; it must be" in str(result.exception)
    assert not out.exists()


@pytest.mark.parametrize("text", ["{}", '{"compile": 3}', '{"compile": {"cohort_width": 0}}'])
def test_a_run_json_without_options_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(text, encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"run\.json does not say how the study was compiled"):
        RunFolder(tmp_path).compile_options()
