"""A run's status on a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from regimen.plan import Plan


def status_view(status: dict[str, Any], plan: Plan, out: Path) -> Group:
    """The whole view: counts, hours, the first failure, the next command."""
    table = Table(title=f"{plan.study.study}, profile {plan.study.profile}, track {plan.track}", title_justify="left")
    table.add_column("")
    for state in ("done", "running", "failed", "pending"):
        table.add_column(state, justify="right")
    for what in ("experiments", "stages"):
        table.add_row(what, *(str(status[what][state]) for state in ("done", "running", "failed", "pending")))
    hours = status["gpu_hours"]
    parts: list[Any] = [
        table,
        Text(f"hours: {hours['spent']:.2f} spent; {hours['planned']:.1f} planned, {hours['left']:.1f} of them left"),
    ]
    for failure in status["failures"][:1]:
        parts.append(Text(f"first failure: {failure['experiment']}: {failure['error']}", style="red"))
        parts.append(Text(f"  log: {failure['log']}"))
        parts += [Text(f"  | {line}") for line in failure["last_lines"]]
    parts.append(Text(f"next: {_next(status, plan, out)}", style="bold"))
    return Group(*parts)


def _next(status: dict[str, Any], plan: Plan, out: Path) -> str:
    unfinished = status["stages"]["pending"] or status["stages"]["failed"]
    if status["alive"]:
        return f"regimen status {out} --watch"
    if unfinished:
        return f"regimen run {plan.study.study} --profile {plan.study.profile} --out {out}"
    return f"regimen report {out}"
