"""Every kind of file of a run folder and its cache, damaged in every way, met by every command.

Never a traceback, never a wrong number, never the loss of a result that was whole; after `run` all is as undisturbed,
bit for bit.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from regimen.api import open_run
from regimen.cli.app import app
from regimen.errors import RegimenError
from regimen.files import cache_home
from regimen.plan import Plan
from regimen.report.run_report import up_to_date_report
from regimen.results import RunFolder
from tests.support.small_runs import run_small, small_plan, small_study

Damage = Callable[[Path, Path | None], None]


@dataclass(frozen=True)
class Finished:
    """A finished run with its study, and what is true of it: every file's bytes, every row of its table."""

    home: Path
    plan: Plan
    files: dict[str, bytes]
    rows: dict[tuple[str, str, str], float]

    @property
    def out(self) -> Path:
        return self.home / "out"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    home = tmp_path_factory.mktemp("finished")
    plan = small_plan(small_study(home))
    summary, _ = run_small(plan, home / "out", home)
    assert summary.experiments["done"] == 2, summary.failures
    assert call("report", str(home / "out")) == 0
    return Finished(home, plan, results_in(home / "out"), table(home / "out"))


def results_in(out: Path) -> dict[str, bytes]:
    """The bytes of every file of every result, and of every outcome's facts; times and logs are left out."""
    found: dict[str, bytes] = {}
    for folder in sorted((out / "stages").iterdir()):
        assert (folder / "DONE").is_file(), folder
        for path in sorted(folder.iterdir()):
            if path.name == "outcome.json":
                plain = json.loads(path.read_text())
                found[f"{folder.name}/facts"] = json.dumps([plain["facts"], plain["files"], plain["inputs"]]).encode()
            elif path.name == "spec.json":
                found[f"{folder.name}/{path.name}"] = json.dumps(json.loads(path.read_text())["identity"]).encode()
            elif path.name not in ("log.jsonl", "DONE"):
                found[f"{folder.name}/{path.name}"] = path.read_bytes()
    return found


def table(out: Path) -> dict[tuple[str, str, str], float]:
    """(experiment, task, metric) -> value, of what the results table shows."""
    frame = open_run(out).results()
    return {
        (str(row.experiment), str(row.task), str(row.metric)): float(row.value)  # type: ignore[arg-type]
        for row in frame.itertuples()
    }


def call(*arguments: str) -> int:
    """A command's exit code, in this process; anything but a deliberate error is passed on."""
    done = CliRunner().invoke(app, list(arguments))
    if isinstance(done.exception, RegimenError):
        return done.exception.exit_code
    if isinstance(done.exception, FileExistsError):  # which the command's entry point puts into a sentence
        return 2
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code


def missing(path: Path, other: Path | None) -> None:
    path.unlink()


def empty(path: Path, other: Path | None) -> None:
    path.write_bytes(b"")


def cut(path: Path, other: Path | None, part: int = 9) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * part // 16])


def flipped(path: Path, other: Path | None) -> None:
    whole = bytearray(path.read_bytes())
    if whole:
        whole[len(whole) * 2 // 3] ^= 4
    path.write_bytes(bytes(whole))


def zeroed(path: Path, other: Path | None) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))


def swapped(path: Path, other: Path | None) -> None:
    if other is not None:
        shutil.copyfile(other, path)


DAMAGES: dict[str, Damage] = {
    "missing": missing, "empty": empty, "cut": cut, "flipped": flipped, "zeroed": zeroed, "another's": swapped,
}  # fmt: skip
STAGE_FILES = {
    "prepare": ("spec.json", "outcome.json", "log.jsonl", "DONE", "drops.jsonl"),
    "items": ("spec.json", "outcome.json", "drops.jsonl", "items.jsonl"),
    "train": ("spec.json", "outcome.json", "metrics.jsonl", "adapter_model.safetensors", "adapter_config.json",
              "state.safetensors"),
    "evaluate": ("spec.json", "outcome.json", "DONE", "items.parquet"),
}  # fmt: skip
FOLDER_FILES = ("run.json", "study.yaml", "ledger.sqlite", ".digests.json", "experiments/direct.json",
                "report/index.html", "report/findings.json")  # fmt: skip
CASES = [(kind, name) for kind, names in STAGE_FILES.items() for name in names] + [("", name) for name in FOLDER_FILES]


def place_of(out: Path, kind: str, name: str) -> tuple[Path, Path | None]:
    """The file to be damaged, and one of the same name of another stage."""
    if not kind:
        return out / name, None
    found = sorted(out.glob(f"stages/{kind}-*/{name}"))
    others = [path for path in sorted(out.glob(f"stages/*/{name}")) if path.read_bytes() != found[-1].read_bytes()]
    return found[-1], others[0] if others else None


def check(finished: Finished, out: Path, to: Path) -> None:
    """Every reading command answers or refuses in a sentence; what is shown is true; then `run` mends everything."""
    codes = {
        "status": call("status", str(out), "--json"),
        "report": call("report", str(out)),
        "gate": call("gate", str(out), "--json"),
        "compare": call("compare", "direct", "direct", "--run", str(out)),
        "export": call("export", "direct", "--run", str(out), "--to", str(to)),
    }
    assert set(codes.values()) <= {0, 1, 2, 3}, codes
    if codes["export"] == 0:
        assert (to / "adapter_model.safetensors").read_bytes() == adapter(finished)
    if codes["report"] == 0:
        shown = table(out)
        assert shown.items() <= finished.rows.items()
    summary, _ = run_small(finished.plan, out, finished.home)
    assert summary.exit_code == 0, summary.failures
    assert results_in(out) == finished.files
    assert table(out) == finished.rows
    assert call("report", str(out)) == 0
    assert json.loads((out / "run.json").read_text())["compile"]["track"] == "full"


def adapter(finished: Finished) -> bytes:
    end = finished.plan.stages[finished.plan.experiments[-1].ends[-1]]
    return (finished.out / "stages" / end.folder / "adapter_model.safetensors").read_bytes()


def damaged(finished: Finished, tmp_path: Path, kind: str, name: str, damage: Damage) -> Path:
    out = tmp_path / "out"
    shutil.copytree(finished.out, out)
    damage(*place_of(out, kind, name))
    return out


@pytest.mark.parametrize(
    ("case", "how"),
    [(case, list(DAMAGES)[number % len(DAMAGES)]) for number, case in enumerate(CASES)],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else value,
)
def test_a_damaged_file(case: tuple[str, str], how: str, finished: Finished, tmp_path: Path) -> None:
    check(finished, damaged(finished, tmp_path, *case, DAMAGES[how]), tmp_path / "export")


@pytest.mark.soak
@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_every_damage_of_every_file(case: tuple[str, str], how: str, finished: Finished, tmp_path: Path) -> None:
    check(finished, damaged(finished, tmp_path, *case, DAMAGES[how]), tmp_path / "export")


@pytest.mark.soak
@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_a_file_cut_at_every_sixteenth(case: tuple[str, str], finished: Finished, tmp_path: Path) -> None:
    for part in range(0, 16, 3):
        out = damaged(finished, tmp_path / str(part), *case, lambda path, other, part=part: cut(path, other, part))
        assert call("status", str(out), "--json") in (0, 2)
        summary, _ = run_small(finished.plan, out, finished.home)
        assert summary.exit_code == 0, summary.failures
        assert results_in(out) == finished.files


def test_swapped_stage_folders_are_not_believed(finished: Finished, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished.out, out)
    one, other = sorted(out.glob("stages/evaluate-*"))[:2]
    one.rename(out / "swap")
    other.rename(one)
    (out / "swap").rename(other)
    check(finished, out, tmp_path / "export")
    assert len(list((out / "set-aside").iterdir())) == 2, "nothing is thrown away"


@pytest.mark.parametrize("text", ["{}", "[]", "null", '{"format": 2, "compile": {}}', '{"compile": {"newer": 1}}'])
def test_a_run_json_that_cannot_be_used_is_a_sentence_and_no_dead_end(
    text: str, finished: Finished, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished.out, out)
    (out / "run.json").write_text(text)
    assert call("status", str(out)) == 2
    check(finished, out, tmp_path / "export")


def test_a_report_that_is_a_file_is_a_sentence(finished: Finished, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished.out, out)
    shutil.rmtree(out / "report")
    (out / "report").write_text("mine")
    assert call("report", str(out)) == 2
    with pytest.raises(RegimenError, match="is a file"):
        run_small(finished.plan, out, finished.home)
    assert (out / "report").read_text() == "mine"


def test_the_report_names_what_is_damaged(finished: Finished, tmp_path: Path) -> None:
    out = damaged(finished, tmp_path, "train", "adapter_model.safetensors", flipped)
    stage = place_of(out, "train", "adapter_model.safetensors")[0].parent.name
    assert call("report", str(out)) == 0
    for page in ("index.html", "report.md"):
        text = (out / "report" / page).read_text()
        assert stage in text
        assert "counts as not there" in text
        assert str(tmp_path) not in text, "a report may be shared"


def test_a_damaged_page_is_written_again(finished: Finished, tmp_path: Path) -> None:
    out = damaged(finished, tmp_path, "", "report/index.html", cut)
    up_to_date_report(RunFolder(out), finished.plan)
    page = (finished.out / "report" / "index.html").read_bytes()
    assert (out / "report" / "index.html").read_bytes() == page


BLOCKS = ("blocks.json", "tokens.bin", "positions.bin", "loss.bin", "lengths.bin")


@pytest.mark.parametrize(
    ("name", "how"),
    [
        pytest.param(name, how, marks=() if (row + column) % 2 else pytest.mark.soak)
        for row, name in enumerate(BLOCKS)
        for column, how in enumerate(("missing", "cut", "zeroed", "flipped"))
    ],
)
def test_damaged_blocks_are_made_again(
    name: str, how: str, finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(cache_home() / "blocks", tmp_path / "cache" / "blocks")
    monkeypatch.setenv("REGIMEN_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    shutil.copytree(finished.out, out)
    for folder in out.glob("stages/train-*"):
        shutil.rmtree(folder)
    facts = RunFolder(out).read(finished.plan).outcomes
    blocks = [tmp_path / "cache" / "blocks" / o.facts.folder for o in facts.values() if o.kind == "prepare"]  # type: ignore[union-attr]
    DAMAGES[how](blocks[0] / name, None)
    summary, said = run_small(finished.plan, out, finished.home)
    assert summary.exit_code == 0, summary.failures
    assert said == []
    assert results_in(out) == finished.files


def test_half_a_checkpoint_of_zeros_is_not_gone_on_from(tmp_path: Path) -> None:
    import torch

    from regimen.engine.checkpoints import load_state, save_state
    from regimen.engine.states import MemberState

    path = tmp_path / "state.safetensors"
    save_state(path, MemberState(torch.arange(64.0), torch.ones(64), torch.zeros(64), updates=7))
    whole: Any = path.read_bytes()
    path.write_bytes(whole[:-600] + bytes(600))
    with pytest.raises(RegimenError, match="damaged"):
        load_state(path)
