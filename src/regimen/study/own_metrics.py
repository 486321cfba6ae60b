"""Metrics of the user's own: functions in Python files beside the study, written `module:function` in a task.

Owns finding the files, reading what a function says of itself without running it, and the refusal of code that nobody
trusts. The study holds the files' text, so that a change is noticed. Does not run them (`evaluation.own_metrics`).
"""

from __future__ import annotations

import ast
import re
import warnings
from pathlib import Path
from typing import Any

from regimen.errors import StudyError, UsageError
from regimen.study.metrics import OWN, VERDICTS, kept_name
from regimen.study.positions import Document

LARGEST = 1 << 20  # bytes of one file
TRUST = "--trust-study-code (in Python: trust_code=True)"


def put_in_code(document: Document, path: Path, *, trusted: bool, packaged: bool) -> None:
    """Puts the text of the files that hold a task's own metrics into the task, as `code`.

    Runs nothing. Raises UsageError for a study with code that is not trusted, or that comes with the package;
    StudyError naming the lines of files and functions that are not there or cannot be metrics.
    """
    tasks: Any = document.value.get("tasks") if isinstance(document.value, dict) else None
    found = [(name, task) for name, task in (tasks.items() if isinstance(tasks, dict) else ()) if _own_names(task)]
    if not found:
        return
    named = ", ".join(dict.fromkeys(metric for _, task in found for metric in _own_names(task)))
    if packaged:
        raise UsageError(f"{path.name} comes with the package and names code ({named}); only your own study may")
    if not trusted:
        raise UsageError(
            f"{path.name} names code of its own ({named}), which runs with your rights: read it, then give {TRUST}"
        )
    faults = []
    for name, task in found:
        try:
            _fill_in(task, path)
        except ValueError as fault:
            faults.append(f"{document.position(('tasks', name, 'metrics'))}: {fault}")
    if faults:
        raise StudyError(path.name, faults)


def _own_names(task: Any) -> list[str]:
    """The metrics of a task, as written, that are functions of a file."""
    metrics = task.get("metrics") if isinstance(task, dict) and not task.get("lm_eval") else None
    return [m for m in metrics if _own(m)] if isinstance(metrics, list) else []


def _own(metric: object) -> re.Match[str] | None:
    """The parts of a metric that is a function of a file; None for all others."""
    match = OWN.fullmatch(metric) if isinstance(metric, str) else None
    return None if match is None or match["module"] == VERDICTS else match


def _fill_in(task: dict[Any, Any], path: Path) -> None:
    """Writes the task's `code`, and its own metrics with the direction that their functions give."""
    held = _held(task.get("code"))
    kept: list[object] = []
    used: dict[str, str] = {}
    for name in task["metrics"]:
        match = _own(name)
        if match is None:
            kept.append(name)
            continue
        module, function = match["module"], match["function"]
        text = used[module] = held[module] if module in held else _text_of(path.parent / f"{module}.py")
        kept.append(kept_name(module, function, _direction(module, function, text)))
        if name not in (kept[-1], f"{module}:{function}"):
            raise ValueError(f"write {module}:{function}; which way is better is given in {module}.py")
    task["metrics"] = kept
    task["code"] = [{"module": module, "text": text} for module, text in used.items()]


def _held(code: Any) -> dict[str, str]:
    """The files that a study read back from a run folder holds already."""
    files = [file for file in code if isinstance(file, dict)] if isinstance(code, list) else []
    return {str(file.get("module")): text for file in files if isinstance(text := file.get("text"), str)}


def _text_of(file: Path) -> str:
    if not file.is_file():
        raise ValueError(f"no file {file.name!r} beside the study")
    if file.stat().st_size > LARGEST:
        raise ValueError(f"{file.name} has {file.stat().st_size:,} bytes; at most {LARGEST:,} are allowed")
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as fault:
        raise ValueError(f"{file.name} is not UTF-8 ({fault.reason} at byte {fault.start})") from None


def _direction(module: str, function: str, text: str) -> str:
    """ "higher", or what the file assigns to `function.better`; raises ValueError where there is no such function."""
    tree = _parsed(module, text)
    definition = next((s for s in tree.body if isinstance(s, ast.FunctionDef) and s.name == function), None)
    if definition is None:
        raise ValueError(f"{module}.py has no `def {function}(prediction, answers)` at its top level")
    taken = definition.args
    places = len(taken.posonlyargs) + len(taken.args)
    needed = places - len(taken.defaults)
    if needed > 2 or (places < 2 and taken.vararg is None) or None in taken.kw_defaults:
        raise ValueError(f"{function} in {module}.py must take two values, `def {function}(prediction, answers)`")
    better = "higher"
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and any(_is_better_of(function, t) for t in statement.targets):
            better = statement.value.value if isinstance(statement.value, ast.Constant) else None
            if better not in ("higher", "lower"):
                raise ValueError(f'{function}.better in {module}.py must be "higher" or "lower"')
    return str(better)


def _parsed(module: str, text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except SyntaxError as fault:
            raise ValueError(f"{module}.py, line {fault.lineno}: {fault.msg}") from None
        except (ValueError, RecursionError, MemoryError) as fault:
            raise ValueError(f"{module}.py is no Python ({fault})") from None


def _is_better_of(function: str, target: ast.expr) -> bool:
    return (
        isinstance(target, ast.Attribute)
        and target.attr == "better"
        and isinstance(target.value, ast.Name)
        and target.value.id == function
    )
