"""The commands as a user meets them: exit codes, one clear sentence, nothing written on bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import validate
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from regimen.api import load_and_compile
from regimen.cli import commands
from regimen.cli.app import app
from tests.support.commands import refused, regimen
from tests.support.patience import within
from tests.support.schemas import PLAN
from tests.support.studies import MINIMAL


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "qwen2-finanse"], "no packaged study 'qwen2-finanse'; there is qwen2-finance"),
        (["run", "no/such.yaml"], "no study file 'no/such.yaml'"),
        (["run", "qwen2-finance", "--profile", "dmeo"], "no profile 'dmeo'; there is demo"),
        (
            ["run", "qwen2-finance", "--profile", "demo", "--only", "3a-sst3"],
            "no experiment '3a-sst3'; there is 3a-sst2",
        ),
        (["run", "qwen2-finance", "--profile", "demo", "--track", "quick"], "no track 'quick'; there is full, fast"),
        (["run", "qwen2-finance", "--profile", "demo", "--tasks", "sst"], "no task 'sst'; there is sst2"),
        (["run", "qwen2-finance", "--profile", "demo", "--eval-items", "0"], "--eval-items is 0"),
        (["run", "qwen2-finance", "--profile", "demo", "--pool", "kubernetes"], "it must be local, ray or slurm"),
        (["run", "qwen2-finance", "--profile", "demo", "--data", "nowhere"], "--data 'nowhere' is not a folder"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value[-2:]),
)
def test_a_wrong_name_is_one_sentence_and_nothing_is_written(arguments: list[str], says: str, tmp_path: Path) -> None:
    message = refused(*arguments, "--out", "run", cwd=tmp_path)
    assert says in message
    assert message.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_missing_source_is_named_before_anything_trains(tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    message = refused(
        "run", "qwen2-finance", "--profile", "demo", "--out", "run", "--data", str(mirror), "--only", "3a-sst2",
        cwd=tmp_path,
    )  # fmt: skip
    assert "is not in the mirror: no " in message
    assert "--skip-missing runs the rest" in message
    assert not (tmp_path / "run").exists()


def test_every_fault_of_a_study_is_told(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(MINIMAL.replace("share: 0.2", "share: 2").replace("steps: 10}", "steps: 0}"))
    message = refused("plan", "study.yaml", cwd=tmp_path)
    assert message.splitlines() == [
        "regimen: study.yaml: 2 faults",
        "  line 11, sources.mood.held_out.share: input should be less than 1 (not 2)",
        "  line 21, experiments[2].stages[0].steps: input should be greater than or equal to 1 (not 0)",
    ]


def test_no_run_folder_is_said(tmp_path: Path) -> None:
    for name in ("status", "report"):
        assert "is no run folder: it has no study.yaml" in refused(name, str(tmp_path))


def test_plan_answers_in_two_seconds_on_stdout_alone() -> None:
    with within(3):  # 2 s, and some for the interpreter of a test
        done = regimen("plan", "qwen2-finance", "--json")
    assert done.stderr == ""
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["study"] == "qwen2-finance"
    validate(document, PLAN)


def test_plan_draws_for_people() -> None:
    done = regimen("plan", "qwen2-finance", "--gpus", "4")
    assert done.returncode == 0
    for text in ("3c-6-glue", "341.7", "Gantt on 4 GPUs", "520,600 to run"):
        assert text in done.stdout


def test_metrics_lists_the_table() -> None:
    for text in ("entity-f1", "generation", "rouge-score"):
        assert text in regimen("metrics").stdout
    listed = json.loads(regimen("metrics", "--json").stdout)
    assert {"name": "bits-per-byte", "family": "likelihood", "scorings": ["text"], "better": "lower"}.items() <= next(
        metric for metric in listed if metric["name"] == "bits-per-byte"
    ).items()


def test_an_unknown_metric_is_refused_by_the_plan(tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(MINIMAL.replace("[accuracy]", "[acuracy]"))
    assert "no metric 'acuracy'; did you mean 'accuracy'?" in refused("plan", "study.yaml", cwd=tmp_path)


def test_help_lists_the_commands_in_groups() -> None:
    done = regimen("--help")
    assert done.returncode == 0
    for name in ("plan", "run", "status", "report", "Read the results"):
        assert name in done.stdout
    assert regimen("--version").stdout.strip()


def test_every_command_has_an_example_that_parses_and_no_option_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    for command in commands():
        _, name, *arguments = command.example.split()
        if name != "init":  # its files must exist
            root.commands[name].make_context(name, arguments)
        text = CliRunner().invoke(app, [name, "--help"]).output
        assert f"Example: {command.example}" in " ".join(text.split()), name
        assert "\u2026" not in text, name


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["comapre"], "Did you mean 'compare'"),
        (["run", "qwen2-finance", "--profle", "demo"], "--profile"),
        (["plan", "qwen2-finance", "--budget-hour", "3"], "--budget-hours"),
        (["plan", "qwen2-finance", "--profile", "deno"], "no profile 'deno'; there is demo"),
    ],
)
def test_a_slip_names_what_may_be_meant(arguments: list[str], meant: str) -> None:
    done = regimen(*arguments)
    assert done.returncode == 2
    assert meant in " ".join(done.stderr.split())


def test_every_weight_of_a_mixture_stays_at_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = regimen("plan", "qwen2-finance")
    words = set(done.stdout.replace("│", " ").split())
    plan = load_and_compile("qwen2-finance")
    mixtures = [leg.mixture for planned in plan.experiments for leg in planned.experiment.legs]
    for mixture in mixtures:
        for source, weight in mixture.items():
            assert f"{source}:{weight:g}" in words or (len(mixture) == 1 and source in words)
    assert {planned.experiment.start_from for planned in plan.experiments} - {None} <= words
    assert "\u2026" not in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
