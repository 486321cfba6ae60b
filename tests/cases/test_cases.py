"""Small rows and studies that once failed, run as a user runs them; they lie beside the checkout, or nothing is run.

What is asked of each stands in the table. A case that does not hold yet is in OPEN and expected to fail, strictly:
when it begins to hold, it has to leave OPEN. Cases that need a base made for them, or that only print figures, have
tests of their own where the fault was.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from regimen.cli.app import app
from regimen.errors import RegimenError
from tests.support.checkout import SHARED
from tests.support.commands import regimen

CASES = SHARED / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="no folder of cases beside the checkout")


class Case(NamedTuple):
    """What `regimen data SOURCE` must say of a folder: regular expressions that its output has, and has not."""

    folder: str
    shows: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    codes: tuple[int, ...] = (0,)
    source: str = "s"
    study: str = "study.yaml"

    @property
    def name(self) -> str:
        """The folder and the source, and the study where the folder has several."""
        study = "" if self.study == "study.yaml" else f"/{self.study}"
        return f"{self.folder}{study}:{self.source}"


NAMED = r"row \d+"
"""A refusal names the row."""
UNLABELLED = rf"{NAMED}|no label|without a label|empty label"
EITHER = (0, 2)
"""Refusing is as good as reading."""
DROPPED = (r"\d duplicate", r"\d empty", r"\d near", r"\d[^\n]* test item")


def read(folder: str, rows: int, *shows: str, lacks: tuple[str, ...] = (), source: str = "s") -> Case:
    """All rows are read, and none is dropped but those that are held out."""
    return Case(folder, (rf"\b{rows:,} rows read", *shows), (*DROPPED, *lacks), source=source)


FORMATS = (
    "13a-json-array", "13b-json-array-pretty", "13c-json-wrapped", "13d-array-in-jsonl", "13f-gz", "13g-tsv",
    "13h-upper", "13i-glob", "13j-ndjson", "13k-semicolon", "13l-bom-crlf-jsonl", "13m-utf16",
)  # fmt: skip
UNUSED = ("14-mixed-unused", "14b-mixed-nested-unused", "14c-bigint-unused", "14d-nan-json-unused")
LABELS = ("bool", "case", "float", "intkeys", "null", "pandasfloat-csv", "str", "yamlboolkeys", "yamlno")
ROWS = [
    read("rows/01-iso-dates", 40, r"2021-03-01(?! 00)", lacks=("00:00:00",)),
    read("rows/01c-iso-dates-some", 40, lacks=("00:00:00",)),
    read("rows/02-int-float", 40, lacks=(r"Result:⟦ \d+\.0<",)),
    Case("rows/04-nan-bins", (UNLABELLED,), codes=EITHER),
    read("rows/05-url-rows", 60),
    read("rows/06-latex-dollar", 50),
    Case("rows/07-column-spaces", (r"row\[",), codes=EITHER),  # the study's own template cannot hold: how to write it
    read("rows/08-option-blank", 30),
    read("rows/09-same-basename", 30),
    read("rows/09c-distinct", 30),
    *(read(f"rows/{name}", 20) for name in FORMATS),
    read("rows/13n-truncgz-txt", 50, "each line is a row"),
    Case("rows/13e-json-columns", (rf"20 rows read|{NAMED}",), codes=EITHER),
    *(read(f"rows/{name}", 29) for name in UNUSED),
    Case("rows/14e-mixed-used", (rf"{NAMED}|⟦ 1<",), ("cannot be read",), codes=EITHER),
    Case("rows/14f-mixed-list-used", (rf"{NAMED}|40 rows read",), ("cannot be read",), codes=EITHER),
    Case("rows/14h-nan-json-used", (rf"{NAMED}|40 rows read",), ("cannot be read", "⟦ nan<"), codes=EITHER),
    Case("rows/14i-nan-json-bins", (UNLABELLED,), codes=EITHER),
    Case("rows/14j-null-json-bins", (UNLABELLED,), codes=EITHER),
    *(Case(f"rows/16-label-{name}", (rf"20 rows read|{NAMED}|line \d+",), codes=EITHER) for name in LABELS),
    Case("rows/17-near-twins", (r"100 rows read, 79 usable",)),
    Case("rows/18-chat", ("20 rows read",)),
    Case("rows/18b-sharegpt", ("20 rows read",)),
    read("rows/21-html-texts", 40),
    Case("rows/23-null-group", (r"60 rows read, [345]\d usable",)),
    Case("leaks/near-twin", ("100 rows read, 100 usable",), source="reviews"),
    Case("leaks/near-twin", ("200 rows read, 200 usable",), source="chat"),
    Case("leaks/group-is-the-test-text", (r"36 [^\n]*test item",), source="archive", study="by-customer.yaml"),
    Case("leaks/group-is-the-test-text", (r"4\d [^\n]*test item",), source="archive", study="by-body.yaml"),
    read("leaks/json-structs", 12, source="tools"),
    read("leaks/json-structs", 12, source="mixed"),
]
OPEN: set[str] = set()


def expected(name: str) -> list[pytest.MarkDecorator]:
    """The mark of what does not hold yet."""
    return [pytest.mark.xfail(reason="does not hold yet", strict=True)] if name in OPEN else []


def invoke(*arguments: str) -> tuple[int, str]:
    """(exit code, all that is shown); what is no deliberate error is raised."""
    done = CliRunner().invoke(app, list(arguments))
    if isinstance(done.exception, RegimenError):
        return done.exception.exit_code, str(done.exception)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name, marks=expected(case.name)) for case in ROWS])
def test_rows(case: Case) -> None:
    study = CASES / case.folder / case.study
    code, output = invoke("data", case.source, "--study", str(study), "--rows", "1000")
    assert code in case.codes, output
    for pattern in case.shows:
        assert re.search(pattern, output), output
    for pattern in case.lacks:
        assert not re.search(pattern, output), (pattern, output)


def test_an_unknown_metric_is_refused_by_plan() -> None:
    code, output = invoke("plan", str(CASES / "leaks" / "unknown-metric.yaml"))
    assert code == 2
    assert "acuracy" in output


def run(study: Path, out: Path) -> tuple[int, str]:
    """The exit code of `regimen run` as a process of its own, and what it says."""
    done = regimen("run", str(study), "--out", str(out), "--workers", "1")
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr


def renamed(folder: Path, out: Path) -> None:
    """An experiment's new name trains nothing again."""
    assert run(folder / "leaks" / "renamed-retrains" / "one.yaml", out)[0] == 0
    before = {path.name for path in (out / "stages").glob("train-*")}
    assert run(folder / "leaks" / "renamed-retrains" / "renamed.yaml", out)[0] == 0
    assert before == {path.name for path in (out / "stages").glob("train-*")}


def text_only(folder: Path, out: Path) -> None:
    """Plain continued pretraining ends with a report."""
    code, output = run(folder / "leaks" / "text-only" / "study.yaml", out)
    assert code == 0, output
    assert (out / "report" / "index.html").is_file()


def edited(folder: Path, out: Path) -> None:
    """A second run notices that the rows have changed, and names the file."""
    assert run(folder / "rows" / "27-edited-file" / "study.yaml", out)[0] == 0
    rows = folder / "rows" / "27-edited-file" / "d.jsonl"
    rows.write_text(rows.read_text(encoding="utf-8").replace("crate", "barrel"), encoding="utf-8")
    code, output = run(folder / "rows" / "27-edited-file" / "study.yaml", out)
    assert code == 2, output
    assert "d.jsonl" in output


RUNS = {"renamed": renamed, "text-only": text_only, "edited": edited}


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(name, marks=expected(name)) for name in RUNS])
def test_runs(name: str, tmp_path: Path) -> None:
    RUNS[name](Path(shutil.copytree(CASES, tmp_path / "cases")), tmp_path / "out")
