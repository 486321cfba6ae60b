"""The real client of the Hub against a server of our own: a mirror that was killed is the one made in peace."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from regimen.data.sources import Where, parts_of, rows_of
from regimen.study import load_study
from tests.support.checkout import ROOT
from tests.support.hub_server import Hub
from tests.support.patience import patient

STUDY = """\
study: hubbed
base: {id: org/model, precision: fp32}
schedule: {learning_rate: {pretrain: 1.0e-3, finetune: 2.0e-3}, warmup_steps: 2}
sources:
  sharded: {hub: org/sharded, form: {text: "{{ text }}"}, held_out: {split: test}}
  glue: {hub: org/glue, config: sst2, form: {prompt: "{{ text }}", answer: "{{ label }}"}, held_out: {share: 0.2}}
  table: {hub: org/table, form: {text: "{{ text }}"}, held_out: {split: validation}}
  script: {hub: org/script, config: [a, b], parquet_branch: true, form: {text: "{{ text }}"}, held_out: {share: 0.2}}
tasks:
  glue: {title: Glue, group: g, source: [glue], scoring: generation, metrics: [exact-match], generation: {tokens: 4}}
experiments:
  - {phase: tune, title: "Tune {sources}", steps: 20, finetune: {tune: glue}}
"""
ROWS = [{"text": f"row {i} of some length", "label": f"{i % 2}"} for i in range(400)]


def parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hub")
    data = root / "datasets" / "org"
    for shard in range(3):
        parquet(data / f"sharded/main/data/train-0000{shard}-of-00003.parquet", ROWS[shard * 100 : shard * 100 + 100])
    parquet(data / "sharded/main/data/test-00000-of-00001.parquet", ROWS[300:])
    parquet(data / "glue/main/sst2/train-00000-of-00001.parquet", ROWS)
    parquet(data / "glue/main/cola/train-00000-of-00001.parquet", ROWS[:5])
    (data / "glue/main/README.md").write_text(
        "---\nconfigs:\n- config_name: sst2\n  data_files:\n  - split: train\n    path: sst2/train-*\n"
        "- config_name: cola\n  data_files:\n  - split: train\n    path: cola/train-*\n---\n"
    )
    (data / "table/main").mkdir(parents=True)
    for name in ("sent_train.csv", "sent_valid.csv"):
        (data / "table/main" / name).write_text("text,label\n" + "".join(f"{r['text']},1\n" for r in ROWS))
    (data / "script/main").mkdir(parents=True)
    (data / "script/main/script.py").write_text("raise SystemExit('code of strangers')\n")
    for config in "ab":
        parquet(data / f"script/refs%2Fconvert%2Fparquet/{config}/train/0000.parquet", ROWS[:50])
    model = root / "models/org/model/main"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").write_bytes(bytes(range(256)) * 400)
    (model / "pytorch_model.bin").write_bytes(b"a pickle that nobody needs")
    return root


WITHOUT_WAITING = "import time; time.sleep = lambda seconds: None; from regimen.cli.app import main; main()"


def mirror(endpoint: str, folder: Path, *how: str) -> subprocess.Popen[str]:
    (folder / "study.yaml").write_text(STUDY)
    environment = os.environ | {"HF_ENDPOINT": endpoint, "HF_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, *(how or ("-m", "regimen")), "mirror", "study.yaml", "--to", "mirror"]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.slow
def test_a_killed_mirror_goes_on_and_is_equal_to_one_made_in_peace(served: Path, tmp_path: Path) -> None:
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    calm.mkdir()
    killed.mkdir()
    hub = Hub(served).start()
    first = mirror(hub.endpoint, calm)
    out, err = first.communicate(timeout=patient(120))
    assert first.returncode == 0, err
    assert "mirror: 11 files" in out

    command = [sys.executable, "-m", "tests.support.hub_server", str(served), "--stall", "5"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert server.stdout is not None
    try:
        cut = mirror(f"http://127.0.0.1:{server.stdout.readline().strip()}", killed)
        assert server.stdout.readline() == "stalled\n"
        cut.kill()
        cut.communicate()
    finally:
        server.kill()
        server.communicate()
    there = contents(killed / "mirror")
    assert "manifest.json" not in there
    whole = {name for name in there if not name.startswith(".partial")}
    assert 0 < len(whole) < 11
    assert all(there[name] == contents(calm / "mirror")[name] for name in whole), "what is in its place is whole"

    before = len(hub.requests)
    second = mirror(hub.endpoint, killed)
    _, err = second.communicate(timeout=patient(120))
    assert second.returncode == 0, err
    assert contents(killed / "mirror") == contents(calm / "mirror")
    fetched = [r for r in hub.requests[before:] if r.startswith("GET datasets/org/sharded/resolve") and "parquet" in r]
    assert len(fetched) < 4, "what was there is not fetched again"

    manifest = json.loads((calm / "mirror/manifest.json").read_text())
    for line in manifest["files"]:
        content = (calm / "mirror" / line["path"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == line["sha256"]
        assert len(line["commit"]) == 40
    assert {line["path"] for line in manifest["files"]} >= {
        "org/sharded/train-00000-of-00003.parquet",
        "org/glue/sst2/train.parquet",
        "org/table/validation.csv",
        "org/script/a/train.parquet",
        "org/model/model.safetensors",
    }
    assert not any(line["path"].endswith((".bin", ".py")) for line in manifest["files"])
    sources = load_study(calm / "study.yaml").sources
    where = Where(data=calm / "mirror")
    read = [row for _, _, row in rows_of(parts_of("sharded", sources["sharded"], "train", where))]
    assert read == ROWS[:300]


def test_without_a_hub_it_is_one_sentence(tmp_path: Path) -> None:
    tried = mirror("http://127.0.0.1:9", tmp_path, "-c", WITHOUT_WAITING)  # the client tries again for half a minute
    _, err = tried.communicate(timeout=patient(120))
    assert tried.returncode == 2
    assert "source 'sharded': org/sharded cannot be read from the Hub" in err
    assert "Traceback" not in err
