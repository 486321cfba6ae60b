"""The public names, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys

import regimen


def test_the_public_names_are_these_and_no_more() -> None:
    assert sorted(regimen.__all__) == [
        "Plan",
        "RegimenError",
        "Run",
        "RunSummary",
        "Study",
        "StudyError",
        "compile_plan",
        "load_study",
        "open_run",
        "run",
    ]
    for name in regimen.__all__:
        assert getattr(regimen, name) is not None


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_importing_regimen_loads_nothing_heavy() -> None:
    heavy = "[m for m in ('torch', 'pandas', 'transformers', 'datasets', 'numpy') if m in sys.modules]"
    assert python(f"import sys, regimen; print({heavy})") == "[]"


def test_planning_loads_neither_torch_nor_pandas() -> None:
    heavy = "[m for m in ('torch', 'pandas', 'transformers', 'datasets') if m in sys.modules]"
    code = f"import sys, regimen as r; r.compile_plan(r.load_study('qwen2-finance')).to_json(); print({heavy})"
    assert python(code) == "[]"


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(regimen, "train")
