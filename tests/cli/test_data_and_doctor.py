"""`regimen data` and `regimen doctor`: what a source looks like and whether this machine has what a study needs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from httpx2 import Request, Response
from huggingface_hub.errors import RevisionNotFoundError
from typer.testing import CliRunner, Result

from regimen.cli.app import app
from regimen.cli.data import OPEN, SHUT, histogram
from regimen.gpus import Gpu
from tests.support.row_files import write
from tests.support.studies import ON_THE_PACKAGED_BASE

STUDY = (
    ON_THE_PACKAGED_BASE
    + """\
sources:
  mood:
    files: [mood.jsonl]
    form: {prompt: "{{ text }}\\nMood:", label: {column: label, names: [bad, good]}}
  exam:
    files: [exam.jsonl]
    split: null
    form: {prompt: "{{ text }}\\nMood:", label: {column: label, names: [bad, good]}, group: "{{ text }}"}
    held_out: {split: test}
  notes: {files: [notes.jsonl], form: {text: "{{ text }}"}}
tasks:
  exam: {title: Exam, group: moods, source: [exam], scoring: choice, metrics: [accuracy]}
experiments:
  - {phase: tune, title: Tune, steps: 2, finetune: {tune: mood}}
  - {phase: read, title: Read, steps: 2, pretrain: {read: notes}}
"""
)
LONG = "one two three four five six seven eight nine ten"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Three usable rows of mood, and one each that is empty, a copy, a test item, a near twin of one."""
    write(
        tmp_path / "mood.jsonl",
        [
            {"text": "a fine day", "label": 1},
            {"text": "A  FINE day", "label": 1},
            {"text": "rain again", "label": 0},
            {"text": "the test said this", "label": 0},
            {"text": LONG.replace("seven", "plenty"), "label": 1},
            {"text": "x\x00y", "label": 1},
            {"text": "word " * 60, "label": 0},
        ],
    )
    write(tmp_path / "exam.jsonl", [{"text": "The test said THIS", "label": 0}, {"text": LONG, "label": 1}])
    write(
        tmp_path / "notes.jsonl",
        [{"text": f"note number {i} holds: the test said this"} for i in range(3)] + [{"text": "a note"}],
    )
    (tmp_path / "study.yaml").write_text(STUDY)
    return tmp_path / "study.yaml"


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def shown(*arguments: str | Path) -> str:
    result = invoke("data", *arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def test_rows_stand_as_the_model_sees_them_with_their_loss_marked(study: Path) -> None:
    text = shown("mood", "--study", study, "--rows", "9")
    assert "[mood.jsonl, row 0]\na fine day\nMood:⟦ good<|endoftext|>⟧\n2 tokens carry loss\n" in text
    assert "[mood.jsonl, row 2]\nrain again\nMood:⟦ bad<|endoftext|>⟧" in text
    assert "a block holds 32, so 36 tokens at the prompt's start are cut" in text, (
        "a row longer than a block says what is cut"
    )


def test_counts_include_what_was_dropped_for_test_items(study: Path) -> None:
    text = shown("mood", "--study", study)
    lines = text.splitlines()
    assert "7 rows read, 3 usable" in lines
    assert "looked for 2 test texts of 1 tasks" in lines
    assert sorted(line.split(maxsplit=1) for line in lines[lines.index("dropped:") + 1 :]) == [
        ["1", "NUL character"],
        ["1", "duplicate"],
        ["1", "near twin of a test item of exam"],
        ["1", "test item of exam"],
    ]


def test_rows_that_are_read_otherwise_than_written_are_counted(study: Path) -> None:
    write(study.parent / "mood.jsonl", [{"text": "a <|endoftext|> day", "label": 1}, {"text": "rain", "label": 0}])
    assert "1 rows hold the text of a special token, which is read as text" in shown("mood", "--study", study)
    (study.parent / "joined.yaml").write_text(
        study.read_text().replace(
            'Mood:", label: {column: label, names: [bad, good]}}\n  exam',
            'Mood:", answer: "\\n{{ text }}", join: ""}\n  exam',
        )
    )
    text = shown("mood", "--study", study.parent / "joined.yaml")
    assert "2 rows have a token that reaches from prompt into answer; the two are tokenised apart" in text


def test_plain_text_carries_loss_on_all_but_its_first_token_and_may_hold_a_test_item(study: Path) -> None:
    text = shown("notes", "--study", study)
    assert "4 rows read, 1 usable" in text
    assert "3 holds a test item of exam" in text
    body = text.split("row 3]\n")[1]
    first = body.split(OPEN)[0]
    assert first
    assert "a note<|endoftext|>" in body.split(SHUT)[0].replace(OPEN, "")
    as_text = shown("mood", "--study", study, "--pretrain")
    assert "Mood: good<|endoftext|>⟧" in as_text.replace("⟦", "")
    assert "Mood:⟦" not in as_text


def test_a_source_that_is_only_tested_on_is_shown_from_its_test_side(study: Path) -> None:
    text = shown("exam", "--study", study)
    assert "exam.jsonl, test side" in text
    assert "tested on, never trained on" in text
    assert "2 rows read, 2 usable" in text


def test_where_test_rows_are_missing_it_says_so(study: Path) -> None:
    (study.parent / "exam.jsonl").unlink()
    text = shown("mood", "--study", study)
    assert "not there: the rows of exam" in text
    assert "7 rows read, 5 usable" in text


def test_wrong_names_are_one_sentence(study: Path, tmp_path: Path) -> None:
    from tests.support.commands import refused

    assert "no source 'moood'; there is mood" in refused("data", "moood", "--study", str(study))
    assert "source 'mood' is not" not in refused("data", "mood", "--study", str(study), "--data", "nowhere")
    (study.parent / "mood.jsonl").unlink()
    assert "source 'mood': no file 'mood.jsonl' in " in refused("data", "mood", "--study", str(study), cwd=tmp_path)


def test_a_histogram_counts_every_row_once() -> None:
    lines = histogram([1, 16, 17, 40, 64, 65], 64)
    assert [int(line.split()[-1]) for line in lines[:-1]] == [2, 1, 2, 1]
    assert lines[-1] == "1 of 6 are longer than a block of 64"


def doctor(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
    result = invoke("doctor", *arguments, "--json")
    return result.exit_code, json.loads(result.stdout)


def test_a_healthy_machine_has_everything_for_the_demo() -> None:
    code, found = doctor("qwen2-finance", "--profile", "demo")
    assert (code, found["faults"]) == (0, [])
    assert {state["state"] for state in found["study"]["sources"].values()} == {"made by regimen"}
    assert found["machine"]["disk_free_bytes"] > 0
    assert found["packages"]["torch"]
    text = invoke("doctor", "qwen2-finance", "--profile", "demo").stdout
    assert text.endswith("nothing is missing\n")


def test_without_a_study_it_speaks_of_the_machine_alone() -> None:
    code, found = doctor()
    assert code == 0
    assert "study" not in found


def test_every_missing_source_is_named_with_the_way_to_get_it(study: Path, tmp_path: Path) -> None:
    code, found = doctor(study)
    assert (code, found["faults"]) == (0, [])
    sizes = {name: state["bytes"] for name, state in found["study"]["sources"].items()}
    assert sizes["mood"] == (tmp_path / "mood.jsonl").stat().st_size
    for name in ("mood", "notes"):
        (tmp_path / f"{name}.jsonl").unlink()
    code, found = doctor(study)
    assert code == 2
    assert [fault.split(":")[0] for fault in found["faults"]] == ["source 'mood'", "source 'notes'"]
    mirror = tmp_path / "mirror"
    write(mirror / "nyu-mll/glue/sst2/train.jsonl", [{"sentence": "x", "label": 0}])
    code, found = doctor("qwen2-finance", "--profile", "demo", "--data", mirror)
    assert code == 2
    sst2 = found["study"]["sources"]["glue-sst2"]
    assert sst2["state"] == "missing"
    assert "validation.jsonl (or .parquet); run `regimen mirror` to fetch it" in sst2["why"]
    assert "missing: source 'gsm8k'" in invoke("doctor", "qwen2-finance", "--profile", "demo", "--data", mirror).stdout


@pytest.mark.parametrize(
    ("name", "content", "wanted"),
    [
        (
            "mood",
            b'{"text": "fine", "label": 1}\n{"text": "odd", "label": 7}\n',
            "mood.jsonl, row 1, column 'label': '7'",
        ),
        ("mood", b'{"txt": "fine", "label": 1}\n', "mood.jsonl, row 0, column 'text'"),
        ("exam", b'{"text": "fine", "label": 9}\n', "exam.jsonl, row 0, column 'label': '9'"),
        ("notes", b"\x00\x01 no JSON", "notes.jsonl"),
        ("notes", b"", "notes.jsonl: the file is empty"),
    ],
)
def test_files_that_cannot_be_read_or_rendered_are_faults(
    study: Path, tmp_path: Path, name: str, content: bytes, wanted: str
) -> None:
    (tmp_path / f"{name}.jsonl").write_bytes(content)
    code, found = doctor(study)
    assert code == 2
    assert found["study"]["sources"][name]["state"] == "unreadable"
    assert len(found["faults"]) == 1
    assert found["faults"][0].startswith(f"source '{name}': {wanted}")
    assert "\n" not in found["faults"][0]


def test_without_a_gpu_the_whole_plan_is_not_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regimen.gpus.installed", lambda: ())
    _, found = doctor("qwen2-finance", "--profile", "full")
    assert "the profile full is not for this machine, which has no GPU" in found["cautions"][0]
    assert "(estimated; `regimen bench` measures it), and `run` asks for --device cpu" in found["cautions"][0]
    assert "try the profile pilot or demo" in found["cautions"][0]
    assert "--hub asks it" in found["cautions"][1]
    monkeypatch.setattr("regimen.gpus.installed", lambda: (Gpu("GPU-1", "NVIDIA H100 80GB HBM3"),))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    _, found = doctor("qwen2-finance", "--profile", "full")
    assert ["--hub asks it" in caution for caution in found["cautions"]] == [True]
    _, found = doctor("qwen2-finance", "--profile", "demo")
    assert (found["cautions"], found["study"]["hub"]) == ([], "not needed")


def test_the_hub_is_asked_for_what_a_run_would_read(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def answer(self: object, repo_id: str, *, repo_type: str, **more: object) -> SimpleNamespace:
        asked.append((repo_type, repo_id))
        if repo_id == "openai/gsm8k":
            raise RevisionNotFoundError(
                "404: no such revision", response=Response(404, request=Request("GET", "https://hub"))
            )
        return SimpleNamespace(gated=False)

    monkeypatch.setattr("huggingface_hub.HfApi.repo_info", answer)
    code, found = doctor("qwen2-finance", "--profile", "full", "--hub")
    assert code == 2
    assert ("model", "Qwen/Qwen2-0.5B") in asked
    assert len(asked) == len(set(asked))
    assert [fault.split(":")[0] for fault in found["faults"]] == ["source 'gsm8k'"]
    assert found["study"]["hub"] == "asked"


def test_a_hub_that_is_not_reached_is_one_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(self: object, *arguments: object, **more: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr("huggingface_hub.HfApi.repo_info", unreachable)
    code, found = doctor("qwen2-finance", "--profile", "full", "--hub")
    assert code == 2
    assert found["faults"] == [
        "the Hub cannot be reached (Name or service not known); fetch them with `regimen mirror` where there is a "
        "network, then use --data"
    ]


def test_too_little_disk_for_the_blocks_is_a_fault(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(study.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10))
    code, found = doctor(study)
    assert code == 2
    assert "the cache of blocks needs about" in found["faults"][-1]


def test_a_missing_base_is_a_fault(study: Path) -> None:
    study.write_text(STUDY.replace("id: regimen/tiny-qwen2, origin: packaged", "id: /nowhere/model, origin: folder"))
    code, found = doctor(study)
    assert code == 2
    assert "base model '/nowhere/model': no config.json in /nowhere/model" in found["faults"][-1]
