"""Rows of the Hub's files are as written, and equal to those of a mirror of the same files."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.hub_server import Hub
from tests.support.patience import patient

LINES = """\
{"id": "007", "when": "2026-01-02", "n": 2, "big": 123456789012345678901234567890, "odd": null}
{"id": "1e5", "when": "2026-01-03", "n": 2.50, "big": 1, "odd": ["a", 1, {"b": null}]}
"""
WRITTEN: list[dict[str, Any]] = [
    {"id": "007", "when": "2026-01-02", "n": "2", "big": 123456789012345678901234567890, "odd": None},
    {"id": "1e5", "when": "2026-01-03", "n": "2.50", "big": 1, "odd": ["a", 1, {"b": None}]},
]
READ = """\
import json, sys
from regimen.data.sources import Where, parts_of, rows_of
from regimen.errors import RegimenError
from regimen.study.sources import Source
found = {}
for name, options in json.loads(sys.argv[1]).items():
    source = Source.model_validate({"hub": f"org/{name}", "form": {"text": "{{ text }}"}, **options})
    try:
        rows = [row for _, _, row in rows_of(parts_of(name, source, "train", Where()))]
        found[name] = [{**row, "n": str(row["n"])} if "n" in row else row for row in rows]
    except RegimenError as fault:
        found[name] = str(fault)
print(json.dumps(found))
"""
SOURCES: dict[str, dict[str, object]] = {
    "lines": {},
    "table": {},
    "wrapped": {"field": "data"},
    "shards": {},
    "columns": {},
    "tabs": {},
    "damaged": {},
    "absent": {},
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hub")
    data = root / "datasets" / "org"
    for name in SOURCES:
        if name != "absent":
            (data / name / "main").mkdir(parents=True)
    (data / "lines/main/train.jsonl").write_text(LINES)
    (data / "table/main/train.csv").write_text("id,answer\n007,NA\n1e5,\n")
    (data / "wrapped/main/train.json").write_text(json.dumps({"version": 1, "data": [{"id": "01"}, {"id": "02"}]}))
    for number, line in enumerate(LINES.splitlines(keepends=True)):
        (data / f"shards/main/train-0000{number}-of-00002.jsonl.gz").write_bytes(gzip.compress(line.encode()))
    pq.write_table(pa.Table.from_pylist([{"id": "007", "label": 1}]), data / "columns/main/train.parquet")
    (data / "tabs/main/train.csv").write_text("a|b\n1|2\n")
    card = (
        "---\nconfigs:\n- config_name: default\n  sep: '|'\n  data_files:\n  - split: train\n    path: train.csv\n---\n"
    )
    (data / "tabs/main/README.md").write_text(card)
    (data / "damaged/main/train.jsonl").write_text(LINES + '{"id": "3"')
    return root


@pytest.fixture(scope="module")
def read(served: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a process reads whose Hub is our server."""
    home = tmp_path_factory.mktemp("home")
    hub = Hub(served).start()
    environment = os.environ | {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-c", READ, json.dumps(SOURCES)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=patient(120))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_values_are_as_written(read: dict[str, Any]) -> None:
    assert read["lines"] == WRITTEN, "datasets makes dates of texts, floats of whole numbers and fails on large ones"
    assert read["shards"] == WRITTEN, "compressed shards, one after another"
    assert read["table"] == [{"id": "007", "answer": "NA"}, {"id": "1e5", "answer": ""}]
    assert read["wrapped"] == [{"id": "01"}, {"id": "02"}]
    assert read["columns"] == [{"id": "007", "label": 1}]


@pytest.mark.slow
def test_a_card_that_sets_how_to_read_is_followed(read: dict[str, Any]) -> None:
    assert read["tabs"] == [{"a": 1, "b": 2}]


@pytest.mark.slow
def test_faults_name_the_line_or_the_data_set(read: dict[str, Any]) -> None:
    assert "org/damaged: train.jsonl, line 3: not JSON" in read["damaged"]
    assert "org/absent (train) cannot be read from the Hub" in read["absent"]
