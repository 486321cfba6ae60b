"""`regimen gate`: decides whether the whole plan is promising; shows the rule's numbers, records an override."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from regimen.cli.options import JsonOption, OutArgument

NOT_PROMISING = 3


def gate(
    out: OutArgument,
    json_output: JsonOption = False,
    override: Annotated[
        str | None, typer.Option(help="Decide against the rule: promising, or 'not promising'; needs --reason.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why the rule is overridden; recorded in OUT/gate.json.")] = None,
) -> None:
    """Decide from the fast track whether to run it all; exit code 3 if it is not promising."""
    from regimen.analysis.gate import gate_decision
    from regimen.analysis.records import to_json
    from regimen.api import open_run
    from regimen.results.decision import record_decision
    from regimen.results.tables import RunTables

    run = open_run(out)
    decided = record_decision(run.folder, to_json(gate_decision(RunTables(run.folder, run.plan))), override, reason)
    adjusted = _write_adjusted(run, decided)
    if json_output:
        typer.echo(json.dumps(decided, indent=2, ensure_ascii=False))
    else:
        _show(decided, adjusted)
    if decided["decision"] == "not promising":
        sys.exit(NOT_PROMISING)


def _write_adjusted(run: Any, decided: dict[str, Any]) -> str | None:
    """Writes OUT/study.adjusted.yaml where the rule says no, and returns its path; None where it says yes."""
    if decided["computed"] != "not promising":
        return None
    from regimen.files import write_text
    from regimen.study.adjust import adjusted_text

    path = run.folder.path / "study.adjusted.yaml"
    write_text(path, adjusted_text(run.study, decided.get("adjust", ())))
    return str(path)


def _show(decided: dict[str, Any], adjusted: str | None) -> None:
    say = _say()
    say(f"{decided['decision']}\n\nrule: {decided['rule']}\n")
    for item in decided["evidence"]:
        mark = {True: "+", False: "-"}.get(item.get("holds"), " ")
        say(f"  {mark} {item['statement']}")
    if decided["override"]:
        override = decided["override"]
        say(f"\noverridden on {override['when']}: the rule says {decided['computed']}; {override['reason']}")
    say(f"\nnext: {decided['next']}")
    for item in decided.get("adjust", ()):
        say(f"  {item['what']}: {item['evidence']}")
    if adjusted:
        say(f"an adjusted study to start from: {adjusted}")


def _say() -> Callable[[str], None]:
    """Breaks lines between words on a terminal; leaves them whole elsewhere."""
    from regimen.cli.terminal import console

    screen = console()
    return lambda text: screen.print(text, soft_wrap=not screen.is_terminal)
