"""`regimen init`: files as people have them become a study that loads, plans and prepares."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from regimen.cli.app import app
from regimen.errors import UsageError
from regimen.plan import compile_plan
from regimen.results import RunFolder
from regimen.study import load_study
from tests.support.inline_runs import assert_done, run_inline

WORDS = [
    "amber",
    "basket",
    "copper",
    "dune",
    "ember",
    "fjord",
    "grove",
    "harbour",
    "island",
    "jetty",
    "kettle",
    "lantern",
    "meadow",
    "needle",
    "orchard",
]


def words(number: int) -> str:
    """Eight words that no other number gives."""
    return (
        " ".join(WORDS[(number * step + number // 7) % len(WORDS)] for step in (1, 2, 4, 7, 8, 11, 13, 14))
        + f" {number}"
    )


def lines(rows: list[dict[str, object]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def tickets(number: int) -> dict[str, object]:
    return {"id": number, "Ticket Text": words(number), "category": ["billing", "delivery", "other"][number % 3]}


FILES: dict[str, tuple[str, Callable[[int], dict[str, object]], str]] = {
    "tickets": ("tickets.jsonl", tickets, "classes"),
    "spam": ("spam.jsonl", lambda n: {"text": words(n), "label": n % 2}, "classes"),
    "yes-no": ("yesno.jsonl", lambda n: {"text": words(n), "label": n % 2 == 0}, "classes"),
    "stars": ("stars.jsonl", lambda n: {"review": words(n), "stars": 1 + n % 50 / 10}, "classes"),
    "pairs": ("pairs.jsonl", lambda n: {"question": words(n), "answer": words(n + 400)[:20]}, "answers"),
    "context": ("qa.jsonl", lambda n: {"context": words(n), "question": f"What {n}?", "answer": str(n)}, "answers"),
    "alpaca": ("alpaca.jsonl", lambda n: {"instruction": words(n), "input": "", "output": f"{n} it is"}, "answers"),
    "options": ("quiz.jsonl", lambda n: {"question": words(n), "choices": ["a", "b", "c"], "answer": n % 3}, "classes"),
    "notes": ("notes.jsonl", lambda n: {"note": words(n)}, "text"),
    "chat": (
        "chat.jsonl",
        lambda n: {"messages": [{"role": "user", "content": words(n)}, {"role": "assistant", "content": f"Yes, {n}."}]},
        "chat",
    ),
    "sharegpt": (
        "share.jsonl",
        lambda n: {"conversations": [{"from": "human", "value": words(n)}, {"from": "gpt", "value": f"No, {n}."}]},
        "chat",
    ),
}


def written(folder: Path, kind: str, count: int = 90) -> Path:
    name, row, _ = FILES[kind]
    (folder / name).write_text(lines([row(number) for number in range(count)]), encoding="utf-8")
    return folder / name


def init(folder: Path, *files: Path) -> tuple[int, str, Path]:
    study = folder / "study.yaml"
    result = CliRunner().invoke(app, ["init", *map(str, files), "--to", str(study)])
    if isinstance(result.exception, UsageError):
        return 2, str(result.exception), study
    assert result.exception is None, result.exception
    return result.exit_code, result.output, study


@pytest.mark.parametrize("kind", FILES)
def test_every_kind_of_file_becomes_a_study_that_plans(tmp_path: Path, kind: str) -> None:
    code, output, path = init(tmp_path, written(tmp_path, kind))
    assert code == 0
    assert f": {FILES[kind][2]};" in output
    study = load_study(path)
    assert compile_plan(study).experiments[-1].experiment.legs
    text = path.read_text(encoding="utf-8")
    assert "GUESS" in text
    assert str(tmp_path) not in text  # files beside the study are named from there


@pytest.mark.parametrize("kind", ["tickets", "spam", "chat", "options", "context"])
def test_the_study_runs(tmp_path: Path, kind: str) -> None:
    _, _, path = init(tmp_path, written(tmp_path, kind))
    path.write_text(path.read_text(encoding="utf-8").replace("steps: 30", "steps: 2"), encoding="utf-8")
    plan = compile_plan(load_study(path), eval_items=4)
    assert_done(run_inline(plan, tmp_path / "run", here=tmp_path))
    assert RunFolder(tmp_path / "run").study().sources


def test_a_test_file_is_paired_with_its_training_file(tmp_path: Path) -> None:
    for name, first in (("mood-train.jsonl", 0), ("mood-test.jsonl", 90)):
        rows = [{"text": words(first + number), "label": number % 2} for number in range(90)]
        (tmp_path / name).write_text(lines(rows), encoding="utf-8")
    code, _, path = init(tmp_path, tmp_path / "mood-test.jsonl", tmp_path / "mood-train.jsonl")
    assert code == 0
    source = load_study(path).sources["mood"]
    assert source.files == ("mood-train.jsonl",)
    assert source.held_out is not None
    assert source.held_out.files == ("mood-test.jsonl",)


def test_several_files_are_compared(tmp_path: Path) -> None:
    """Two tasks give direct and joint training, a text gives reading first."""
    code, _, path = init(tmp_path, *(written(tmp_path, kind) for kind in ("tickets", "pairs", "notes")))
    assert code == 0
    study = load_study(path)
    ids = {experiment.id for experiment in study.experiments}
    assert {"direct-tickets", "direct-pairs", "together", "read-notes", "read-first-tune"} <= ids
    assert {name: [one.id for one in question.contrasts] for name, question in study.questions.items()} == {
        "Q1": ["direct:direct-tickets", "direct:direct-pairs"],
        "Q2": ["together"],
        "Q3": ["read:read-notes"],
        "Q4": ["read-first"],
    }


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    file = written(tmp_path, "notes")
    (tmp_path / "study.yaml").write_text("mine", encoding="utf-8")
    code, message, path = init(tmp_path, file)
    assert (code, path.read_text(encoding="utf-8")) == (2, "mine")
    assert "--to" in message


@pytest.mark.parametrize("content", ['{"x": [1, 2]}\n{"x": [3]}\n', '{"x": {"y": 1}}\n'])
def test_rows_without_text_are_refused_in_a_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "odd.jsonl").write_text(content, encoding="utf-8")
    code, message, path = init(tmp_path, tmp_path / "odd.jsonl")
    assert code == 2
    assert "(x)" in message
    assert not path.exists()
