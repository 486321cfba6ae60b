"""Studies and run.json files that anything may stand in: the commands end with 0 or 2, in seconds, with no traceback.

Each example is a valid file with a few values replaced, removed or renamed, or its text cut and overwritten.
"""

from __future__ import annotations

import copy
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regimen.cli.app import main
from regimen.plan import compile_plan
from regimen.results import RunFolder
from regimen.study import load_study
from tests.support.checkout import ROOT
from tests.support.studies import MINIMAL

SECONDS = 5.0
STUDY: dict[str, Any] = yaml.safe_load(
    MINIMAL
    + """\
title: A study
tracks: {full: ["*"], fast: [tune-20]}
questions:
  Q1:
    question: Does tuning help?
    contrasts:
      - {id: help, title: Tuned, tasks: reviews, of: tune-40, against: zero-shot}
profiles: {full: {}, small: {steps: {divide: 10, at_least: 1}, batch: {block: 64}}}
"""
)
STUDY["sources"]["mood"]["documents"] = {"rows": 2, "separator": "\n"}
HOSTILE = st.sampled_from(
    [
        None, True, 0, -1, 2, 10**30, 1e308, 5e-324, float("inf"), float("nan"), "", " ", "x" * 5000, "a/b", "../..",
        "\0", "\x1b[2J", "[/x]", "\ud83d\ude00", "{{ 'a' * 10 ** 9 }}", "{{ 2 ** (10 ** 10) }}", "{{ x", "{% for %}",
        "(a+)+$", "(", "zero-shot", "a@2", "a:5", "mood:1e308", "mood:-1 mood:2", "*", [], {}, [[]], {"": ""}, [None],
        {"files": ["a"]}, "mood", "tune-20", "news", ["mood", "news"],
    ]
)  # fmt: skip
ANYTHING = HOSTILE | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to all values inside a plain value."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, key)
        yield from paths(item, (*path, key))


@st.composite
def changed(draw: st.DrawFn, valid: dict[str, Any]) -> dict[str, Any]:
    """The valid value with one to four changes somewhere in it."""
    value = copy.deepcopy(valid)
    for _ in range(draw(st.integers(1, 4))):
        places = list(paths(value))
        if not places:
            break
        *way, last = draw(st.sampled_from(places))
        inside = value
        for key in way:
            inside = inside[key]
        what = draw(st.sampled_from(["replace", "replace", "replace", "remove", "rename", "copy"]))
        if what == "replace":
            inside[last] = copy.deepcopy(draw(ANYTHING))  # hostile values are shared, and changed further
        elif what == "remove":
            del inside[last]
        elif what == "copy":
            inside[last] = copy.deepcopy(draw(st.sampled_from([valid, value, inside[last]])))
        elif isinstance(inside, dict):
            inside[draw(st.text(max_size=10) | st.sampled_from(["zero-shot", "Q1/2", "a@2", "id"]))] = inside.pop(last)
    return value


@st.composite
def damaged(draw: st.DrawFn, text: str) -> bytes:
    """The text with a stretch of it overwritten or cut out."""
    data = text.encode()
    start = draw(st.integers(0, len(data)))
    return data[:start] + draw(st.binary(max_size=12)) + data[start + draw(st.integers(0, 60)) :]


def as_yaml(value: object) -> bytes:
    return yaml.safe_dump(value, allow_unicode=False, sort_keys=False).encode()


def ends_well(*arguments: str) -> None:
    """Runs a command in this process; asserts how it ends."""
    out, err = io.StringIO(), io.StringIO()
    before, sys.argv = sys.argv, ["regimen", *arguments]
    begun = time.process_time()
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main()
        code: object = 0
    except SystemExit as end:
        code = end.code or 0
    finally:
        sys.argv = before
    assert code in (0, 2), (code, err.getvalue())
    assert (code == 2) == bool(err.getvalue().strip()), err.getvalue()
    assert "Traceback" not in err.getvalue()
    assert time.process_time() - begun < SECONDS


STUDIES = changed(STUDY).map(as_yaml) | damaged(MINIMAL)
RECORDED = {
    "format": 1, "track": "full", "command": "regimen run", "engine": {"pass_tokens": 512, "compiled": False},
    "compile": {"track": "full", "only": ["tune-*"], "tasks": [], "eval_items": 4, "sharing": True, "cohort_width": 2},
}  # fmt: skip
RECORDS = changed(RECORDED).map(lambda value: json.dumps(value).encode()) | damaged(json.dumps(RECORDED))
RECORDS |= ANYTHING.map(lambda value: json.dumps(value).encode())
SLOW_TO_MAKE = [HealthCheck.too_slow, HealthCheck.data_too_large]
EXAMPLES = "REGIMEN_FUZZ_EXAMPLES"
GIBIBYTE = 1 << 30
ALL_SECONDS = 3600
few = settings(max_examples=int(os.environ.get(EXAMPLES, "40")), deadline=None, suppress_health_check=SLOW_TO_MAKE)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzzed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder in which nothing has run yet."""
    home = tmp_path_factory.mktemp("run")
    (home / "study.yaml").write_text(MINIMAL)
    plan = compile_plan(load_study(home / "study.yaml"))
    RunFolder(home / "out").create(plan.study, plan, {"compile": RECORDED["compile"]})
    return home / "out"


def plan_of(text: bytes, home: Path) -> None:
    path = home / "study.yaml"
    path.write_bytes(text)
    ends_well("plan", str(path), "--json")
    ends_well("plan", str(path))


def status_of(text: bytes, folder: Path) -> None:
    (folder / "run.json").write_bytes(text)
    ends_well("status", str(folder))


def test_the_valid_files_are_valid(home: Path, folder: Path) -> None:
    path = home / "study.yaml"
    path.write_bytes(as_yaml(STUDY))
    compile_plan(load_study(path, "small"))
    status_of(json.dumps(RECORDED).encode(), folder)


@few
@given(text=STUDIES)
def test_a_study_is_planned_or_refused(text: bytes, home: Path) -> None:
    plan_of(text, home)


@few
@given(text=RECORDS)
def test_a_run_json_is_read_or_refused(text: bytes, folder: Path) -> None:
    status_of(text, folder)


def in_a_child(test: str) -> None:
    """Runs 2,000 examples of `test` in a child process that may take a gibibyte of memory and no more.

    The processor time of each command is limited by `ends_well`, that of all of them by the child's own limit.
    """
    preparation = f"import resource as r; r.setrlimit(r.RLIMIT_AS, ({GIBIBYTE}, {GIBIBYTE}))\n"
    preparation += f"r.setrlimit(r.RLIMIT_CPU, ({ALL_SECONDS}, {ALL_SECONDS}))\n"
    preparation += "import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))"
    chosen = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", f"{__file__}::{test}"]
    environment = os.environ | {EXAMPLES: "2000", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", preparation, *chosen]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert "1 passed" in done.stdout


@pytest.mark.soak
def test_two_thousand_studies_are_planned_or_refused_within_a_gibibyte() -> None:
    in_a_child("test_a_study_is_planned_or_refused")


@pytest.mark.soak
def test_two_thousand_run_json_files_are_read_or_refused_within_a_gibibyte() -> None:
    in_a_child("test_a_run_json_is_read_or_refused")
