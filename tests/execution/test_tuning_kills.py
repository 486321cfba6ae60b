"""SIGKILL in the middle of a choice, to the worker and to the driver: the same choice, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.checkout import ROOT
from tests.support.kill_points import CHOICES, hits, plan_kills
from tests.support.run_processes import assert_committed_once, fingerprint_of, finish, wait_gone

TUNED = [
    str(ROOT / "examples" / "tuned.yaml"), "--only", "reviews", "--tasks", "reviews", "--eval-items", "8",
    "--workers", "1", "--cohort-width", "8", "--checkpoint-seconds", "0",
]  # fmt: skip


def choices_of(out: Path) -> dict[str, Any]:
    """The candidates of every choice with their losses, and the bytes of the states that it handed on."""
    found = {}
    for folder in sorted((out / "stages").glob("choose-*")):
        facts = json.loads((folder / "outcome.json").read_text())["facts"]
        states = {path.name: path.read_bytes() for path in sorted(folder.glob("state-*.safetensors"))}
        found[folder.name] = (facts, (folder / "choice.json").read_text(), states)
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tuned") / "run"
    done = finish(out, arguments=TUNED)
    assert done.returncode == 0, done.stderr
    assert len(choices_of(out)) == 2
    return out


@pytest.mark.slow
def test_a_worker_killed_while_a_rate_is_chosen(undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = finish(out, arguments=TUNED, environment=plan_kills(tmp_path / "kills", "self", list(CHOICES)))
    assert done.returncode == 0, done.stderr
    assert hits(tmp_path / "kills") == set(CHOICES)
    assert choices_of(out) == choices_of(undisturbed)
    assert fingerprint_of(out) == fingerprint_of(undisturbed)
    assert_committed_once(out)
    wait_gone(out)


@pytest.mark.soak
def test_a_driver_killed_while_a_rate_is_chosen(undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    kills = plan_kills(tmp_path / "kills", "driver", list(CHOICES))
    codes = []
    while not codes or codes[-1] == -9:
        assert len(codes) <= len(CHOICES)
        codes.append(finish(out, arguments=TUNED, environment=kills).returncode)
        wait_gone(out)
    assert codes == [-9] * len(CHOICES) + [0]
    assert hits(tmp_path / "kills") == set(CHOICES)
    assert choices_of(out) == choices_of(undisturbed)
    assert fingerprint_of(out) == fingerprint_of(undisturbed)
