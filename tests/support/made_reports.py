"""Made-up runs for reports: plans of the demo profile with simulated outcomes, hostile texts where wanted."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from regimen.plan import EvaluateSpec, ItemsSpec, Plan, compile_plan
from regimen.results import RunFolder
from regimen.results.item_rows import ITEM_SCHEMA
from regimen.study import Study, load_study
from tests.support.simulated_runs import simulate
from tests.support.studies import with_fields

ITEMS = 40
FEW = ("1-*", "3a-sst2", "3a-financial-sentiment", "2b-fiqa-*", "3c-6-glue", "3c-1-*")
HOSTILE = "</script><img src=x onerror=alert(1)>{{ 7 * 7 }}${x}|`*_&\"'\\"


def skill(end: str, task: str) -> float:
    """The base at 0.35; fine-tuning helps, pretraining does nothing."""
    return 0.8 if end.startswith("3") else 0.35


def few(study: Study | None = None) -> Plan:
    """A plan of a few experiments of each kind."""
    return compile_plan(study or load_study("qwen2-finance", "demo"), only=FEW)


def run_of(plan: Plan, out: Path, items: int = 12) -> RunFolder:
    """A finished run of the plan, with prompts beside the items."""
    simulate(out, plan, skill, items=items)
    folder = RunFolder(out)
    for stage in plan.stages.values():
        if isinstance(stage, ItemsSpec):
            lines = [
                json.dumps({"id": f"{stage.task_name}-{index:04d}", "prompt": f"Question {index}?\nAnswer:"})
                for index in range(items)
            ]
            (folder.folder(stage).path / "items.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def hostile_study() -> Study:
    """The demo study with hostile titles."""
    study = load_study("qwen2-finance", "demo")
    return with_fields(
        study,
        title=HOSTILE,
        experiments=tuple(with_fields(e, title=HOSTILE) for e in study.experiments),
        tasks={name: with_fields(task, title=HOSTILE) for name, task in study.tasks.items()},
        phases={name: with_fields(phase, title=HOSTILE) for name, phase in study.phases.items()},
        questions={name: with_fields(asked, question=HOSTILE) for name, asked in study.questions.items()},
    )


def make_hostile(folder: RunFolder, plan: Plan) -> None:
    """Every text of the run's items and answers becomes hostile: ids, clusters, prompts, choices, targets, outputs."""
    for stage in plan.stages.values():
        path = folder.folder(stage).path
        if isinstance(stage, EvaluateSpec) and (path / "items.parquet").is_file():
            rows = pq.read_table(path / "items.parquet").to_pylist()
            for row in rows:
                row |= {"target": HOSTILE, "prediction": HOSTILE, "text": HOSTILE + HOSTILE, "detail": HOSTILE}
                row |= {
                    "item_id": HOSTILE + row["item_id"],
                    "cluster": HOSTILE + row["cluster"],
                    "logprobs": [-1.0, -2.0],
                }
            columns = {name: [row[name] for row in rows] for name in ITEM_SCHEMA.names}
            pq.write_table(pa.table(columns, schema=ITEM_SCHEMA), path / "items.parquet")
            recorded_anew(path)
        elif isinstance(stage, ItemsSpec):
            items = [json.loads(line) for line in (path / "items.jsonl").read_text().splitlines()]
            (path / "items.jsonl").write_text("".join(json.dumps(_hostile_item(i)) + "\n" for i in items))


def _hostile_item(item: dict[str, Any]) -> dict[str, Any]:
    return item | {"id": HOSTILE + item["id"], "prompt": HOSTILE, "choices": [HOSTILE, HOSTILE + "2"]}


def packed_data(page: Path, name: str) -> Any:
    """A block of data that lies packed in the page."""
    found = re.search(rf'id="data-{name}">([^<]+)</script>', page.read_text(encoding="utf-8"))
    assert found, f"the page holds no {name}"
    return json.loads(gzip.decompress(base64.b64decode(found[1])))


def recorded_anew(stage: Path) -> None:
    """The outcome names the files as they are now, so that the stage does not count as damaged."""
    outcome = json.loads((stage / "outcome.json").read_text())
    outcome["files"] = {name: hashlib.sha256((stage / name).read_bytes()).hexdigest() for name in outcome["files"]}
    outcome.pop("digest", None)
    (stage / "outcome.json").write_text(json.dumps(outcome))


class Page(HTMLParser):
    """The elements of a page: (tag, attributes) in order, ids, links, and the text outside scripts and styles."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._inside: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.words.append(data)

    @property
    def text(self) -> str:
        """The text, blanks folded."""
        return " ".join(" ".join(self.words).split())

    @property
    def ids(self) -> list[str]:
        """All ids, in order."""
        return [attrs["id"] or "" for _, attrs in self.tags if "id" in attrs]

    @property
    def links(self) -> list[str]:
        """All targets of links."""
        return [attrs["href"] or "" for _, attrs in self.tags if "href" in attrs]
