"""A run's status on a terminal."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from regimen.plan import Plan
from regimen.results.status import STATES, FailedStage, RunningStage, Status
from regimen.stages.messages import Look

RUNNING_LINES = 6


def status_view(status: Status, plan: Plan) -> Group:
    """The whole view: counts, hours, the running stages, the first failure, the next command."""
    table = Table(title=f"{plan.study.study}, profile {plan.study.profile}, track {plan.track}", title_justify="left")
    table.add_column("")
    for state in STATES:
        table.add_column(state, justify="right")
    for what, counts in (("experiments", status["experiments"]), ("stages", status["stages"])):
        table.add_row(what, *(str(counts[state]) for state in STATES))
    parts = [table, *_hours(status), *_running(status["running"]), *_failures(status["failures"])]
    return Group(*parts, Text(f"next: {status['next']}", style="bold", overflow="fold"))


def _hours(status: Status) -> list[Text]:
    hours, rate = status["gpu_hours"], status["rate"]
    eta = "" if status["eta_hours"] is None else f"; done in about {clock(status['eta_hours'] * 3600)}"
    return [
        Text(
            f"device time: {clock(hours['spent'] * 3600)} spent, about {clock(hours['left'] * 3600)} left{eta} "
            f"({rate['steps_per_gpu_hour']:,.0f} steps an hour: {rate['source']})"
        ),
        Text(f"the plan's own figure: {hours['planned']:,.1f} GPU-hours"),
    ]


def _running(running: list[RunningStage]) -> list[Text]:
    lines = [Text(_running_line(item)) for item in running[:RUNNING_LINES]]
    more = len(running) - RUNNING_LINES
    return [*lines, Text(f"running: {more} more")] if more > 0 else lines


def _running_line(item: RunningStage) -> str:
    line = f"running: {item['kind']} {item['stage']} on {item['worker']}"
    return f"{line}; {Look(**item['validation']).words}" if "validation" in item else line


def _failures(failures: list[FailedStage]) -> list[Text]:
    if not failures:
        return []
    first = failures[0]
    more = f" ({len(failures) - 1} more failed)" if len(failures) > 1 else ""
    return [
        Text(f"first failure: {first['experiment']}: {first['error']}{more}", style="red"),
        Text(f"  log: {first['log']}", overflow="fold"),
        *(Text(f"  | {line}") for line in first["last_lines"]),
    ]


def clock(seconds: float) -> str:
    """Seconds in the unit that people would use: "40 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
