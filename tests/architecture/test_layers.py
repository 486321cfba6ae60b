"""The layering of the package is law: this test holds the table of who may import whom."""

from __future__ import annotations

import ast
import re
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

SOURCE = ROOT / "src" / "regimen"

# Every floor may import itself and the leaves besides.
LEAVES = {"digests", "errors", "files", "gpus"}
FLOORS = {"study", "studies", "plan", "data", "engine", "evaluation", "results", "stages", "execution", "analysis"}
FLOORS |= {"report", "cli", "api", "opened_run"}
MAY_IMPORT = {
    "cli": FLOORS,
    "api": FLOORS - {"cli"},
    "opened_run": FLOORS - {"cli", "api", "execution"},
    "execution": {"plan", "stages", "results"},
    "report": {"study", "plan", "results", "analysis"},
    "analysis": {"study", "plan", "results"},
    "stages": {"study", "plan", "data", "engine", "evaluation", "results"},
    "evaluation": {"study", "data", "engine"},
    "engine": {"study", "data"},
    "data": {"study"},
    "results": {"study", "plan"},
    "plan": {"study"},
    "study": set(),
    "digests": set(),
    "errors": set(),
    "files": set(),
    "gpus": set(),
}
# Each heavy dependency has its home: the only files that may import it.
HOMES = {
    "ray": ("execution/ray_pool.py",),
    "submitit": ("execution/slurm_pool.py",),
    "peft": ("engine/",),
    "lm_eval": ("evaluation/",),
    "datasets": ("data/", "evaluation/"),
    "torch": ("engine/", "stages/", "execution/worker.py"),
    "transformers": ("engine/", "data/chat.py"),
    "accelerate": ("execution/tracker_sink.py",),
}
# Values between packages have types of their own; a dictionary of anything is for a boundary (JSON, YAML, rows). How
# often each floor says `dict[str, Any]` or `Mapping[str, Any]`: these numbers may only fall.
UNTYPED = {
    "analysis": 1,
    "cli": 4,
    "data": 14,
    "engine": 1,
    "evaluation": 0,
    "execution": 2,
    "plan": 4,
    "report": 9,
    "results": 7,
    "stages": 1,
    "study": 11,
}


def modules() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py"))


def imports(path: Path) -> list[tuple[int, str]]:
    """(line, dotted name) of every import, those inside functions and under TYPE_CHECKING counted."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def floor_of(path: Path) -> str:
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_imports_only_what_its_floor_may(path: Path) -> None:
    floor = floor_of(path)
    if floor in ("__init__", "__main__"):
        return
    allowed = MAY_IMPORT[floor] | LEAVES | {floor, "__version__"}
    wrong = [
        f"line {line}: {name}"
        for line, name in imports(path)
        if name.startswith("regimen.") and name.split(".")[1] not in allowed
    ]
    assert not wrong


def test_the_engine_knows_nothing_of_data_but_the_batch() -> None:
    wrong = [
        f"{path.name}:{line}: {name}"
        for path in (SOURCE / "engine").rglob("*.py")
        for line, name in imports(path)
        if name.startswith("regimen.data") and not name.startswith("regimen.data.batch")
    ]
    assert not wrong


def test_every_heavy_dependency_stays_at_home() -> None:
    wrong = []
    for path in modules():
        inside = str(path.relative_to(SOURCE))
        for line, name in imports(path):
            homes = HOMES.get(name.split(".")[0])
            if homes and not inside.startswith(homes):
                wrong.append(f"{inside}:{line}: {name}")
    assert not wrong


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_opens_with_what_it_owns(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), "no module docstring"
    assert text.count("\n") <= 330, f"{text.count(chr(10))} lines: does it hold two ideas?"


def test_the_table_names_every_floor() -> None:
    floors = {floor_of(path) for path in modules()} - {"__init__", "__main__", "assets"}
    assert floors == set(MAY_IMPORT)


def test_values_between_packages_are_typed() -> None:
    counts = Counter[str]()
    for path in modules():
        counts[floor_of(path)] += len(re.findall(r"\b(?:dict|Mapping)\[str, Any\]", path.read_text(encoding="utf-8")))
    above = {floor: count for floor, count in counts.items() if count > UNTYPED.get(floor, 0)}
    assert not above, f"more than { ({floor: UNTYPED.get(floor, 0) for floor in above}) }: give the value a type"


def test_no_module_name_stands_in_both_analysis_and_report() -> None:
    """Analysis computes and report draws: one name for both would not say which is meant."""
    computed, drawn = ({path.stem for path in (SOURCE / floor).rglob("*.py")} for floor in ("analysis", "report"))
    assert computed & drawn == {"__init__"}


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_no_files_import_each_other_in_a_circle() -> None:
    """Imports inside functions and for types alone count: a circle of those is a circle of ideas."""
    names = {module_name(path): path for path in modules()}
    needs: dict[str, set[str]] = {}
    for name, path in names.items():
        wanted = (imported if imported in names else imported.rpartition(".")[0] for _, imported in imports(path))
        needs[name] = {other for other in wanted if other in names and other != name}
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as fault:
        pytest.fail(" -> ".join(fault.args[1]))


def test_the_floors_on_the_page_are_those_of_the_law() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]+) \|[^|]*\| ([^|]+) \|$", text, re.MULTILINE)
    told = {name: cells for first, cells in rows for name in re.findall(r"`(\w+)(?:/|\.py)`", first)}
    assert set(told) | LEAVES == set(MAY_IMPORT)
    for floor in ("execution", "report", "analysis", "stages", "evaluation", "data", "results", "plan"):
        assert set(re.findall(r"\w+", told[floor])) == MAY_IMPORT[floor], floor
