"""The tests keep their own rules: studies that are checked, and one place for what several test modules use."""

from __future__ import annotations

import ast

import pytest

from regimen.errors import StudyError
from regimen.study import load_study
from tests.support.checkout import ROOT
from tests.support.studies import with_experiments, with_fields

FILES = [path for folder in ("tests", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))]


def test_a_study_that_no_file_could_hold_cannot_be_made() -> None:
    demo = load_study("qwen2-finance", "demo")
    with pytest.raises(ValueError, match="less than"):
        with_fields(demo, seed=2**40)
    lost = with_fields(demo.experiments[-1], start_from="nowhere")
    with pytest.raises(StudyError, match="start_from"):
        with_experiments(demo, lost)
    with pytest.raises(StudyError):  # the questions name experiments that are gone
        with_fields(demo, experiments=demo.experiments[:1], tracks={"full": ("*",)})


def test_no_study_is_made_past_its_checks() -> None:
    unchecked = {"model_copy", "model_construct"}
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in unchecked
    ]
    assert not wrong, "with_fields of tests/support/studies.py makes the checks"


def test_what_test_modules_share_lies_in_support() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.module}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith("tests.")
        and not (node.module or "").startswith("tests.support")
    ]
    assert not wrong
