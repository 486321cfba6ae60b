"""What a run shows where no terminal is: plain lines."""

from __future__ import annotations

import io

from rich.console import Console

from regimen.api import load_and_compile
from regimen.cli.progress import Progress
from regimen.execution.events import AlreadyDone


def test_what_an_earlier_call_did_is_counted_as_done() -> None:
    plan = load_and_compile("qwen2-finance", profile="demo", only=["3a-sst2"], tasks=["sst2"])
    said = io.StringIO()
    _, *done = plan.stages
    with Progress(plan, Console(file=said, width=200)) as progress:
        progress(AlreadyDone(tuple(done)))
    assert f"{len(done)}/{len(plan.stages)} stages done; waiting" in said.getvalue()
