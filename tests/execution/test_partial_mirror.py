"""A mirror with only what a call trains and scores on: said at once, or run with the gap told in the report."""

from __future__ import annotations

import json
from pathlib import Path

from regimen.data import miniature
from tests.support.made_reports import Page
from tests.support.row_files import write
from tests.support.run_processes import SMALL, finish


def test_test_sets_that_nothing_scores_may_be_missing(tmp_path: Path) -> None:
    for split in ("train", "validation"):
        rows = [dict(row) for row in miniature.table("nyu-mll/glue", "sst2", split)]
        write(tmp_path / f"mirror/nyu-mll/glue/sst2/{split}.jsonl", rows[:200])
    out, mirror = tmp_path / "run", str(tmp_path / "mirror")
    refused = finish(out, "--data", mirror, arguments=SMALL)
    assert refused.returncode == 2
    assert "is not in the mirror: no " in refused.stderr
    assert "only to keep test items out of training, --skip-missing trains without looking for them" in refused.stderr
    assert not out.exists()
    done = finish(out, "--data", mirror, "--skip-missing", arguments=SMALL)
    assert done.returncode == 0, done.stderr
    assert json.loads((out / "experiments/3a-sst2.json").read_text())["state"] == "done"
    page = Page((out / "report/index.html").read_text(encoding="utf-8")).text
    assert "Not looked for in training rows: the test items of math: source 'gsm8k' is not in the mirror" in page
    assert "the test items of sst2" not in page
    recorded = [path.read_text() for path in out.glob("stages/*/outcome.json")]
    assert not any(str(tmp_path) in text for text in [page, *recorded]), "folders of this machine are nobody's business"


def test_what_an_experiment_needs_comes_first_in_the_message(tmp_path: Path) -> None:
    rows = [dict(row) for row in miniature.table("nyu-mll/glue", "sst2", "train")]
    write(tmp_path / "mirror/nyu-mll/glue/sst2/train.jsonl", rows[:50])
    said = finish(tmp_path / "run", "--data", str(tmp_path / "mirror"), arguments=SMALL)
    assert said.returncode == 2
    assert said.stderr.startswith("regimen: source 'glue-sst2' is not in the mirror: no ")
    assert "1 experiments need it, --skip-missing runs the rest (" in said.stderr
    assert "of these test sets are only kept out of training, and then not looked for)" in said.stderr
