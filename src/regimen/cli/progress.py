"""Progress of a run: live on a terminal, plain lines elsewhere, always on stderr.

Owns the display. Gets events from the scheduler and asks it nothing.
"""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from regimen.cli.status_view import clock
from regimen.cli.terminal import console as make_console
from regimen.execution.events import AlreadyDone, Note, RunEvent, StageChanged
from regimen.execution.events import Progress as Steps
from regimen.execution.runner import RunSummary
from regimen.plan import Plan, TrainSpec

PLAIN_SECONDS = 5.0  # at most one plain line in this time
SHOW_SECONDS = 0.2  # a large plan changes often, and going through all its stages takes time
STAGE_LINES = 8
EVALUATION_STEPS = 5.0  # training steps that an evaluation counts as in the estimate of the time left


class Progress:
    """An observer of a run; use as a context manager around it."""

    def __init__(self, plan: Plan, console: Console | None = None):
        self._plan = plan
        self._console = console or make_console(stderr=True)
        self._states: dict[str, str] = dict.fromkeys(plan.stages, "pending")
        self._steps: dict[str, float] = {}
        self._started = time.monotonic()
        self._earlier = 0.0
        self._spoken = 0.0
        self._shown = 0.0
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[more]}", markup=False),
            console=self._console,
        )
        self._total = self._bars.add_task("stages", total=len(plan.stages), more="")
        self._lines: dict[str, TaskID] = {}
        self._live: Live | None = None

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._live = Live(self._bars, console=self._console, refresh_per_second=5)
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live is not None:
            self._show()
            self._live.stop()

    def __call__(self, event: RunEvent) -> None:
        """Takes note of a change and shows it."""
        match event:
            case StageChanged(stage, state, _, error):
                self._states[stage] = state
                if state == "failed":
                    self._say(f"failed: {self._plan.stages[stage].label}: {error}", force=True)
            case AlreadyDone(stages):
                self._states |= dict.fromkeys(stages, "done")
            case Note(text):
                self._say(text, force=True)
            case Steps(stages):
                for progress in stages:
                    self._steps[progress.stage] = progress.done
                    self._show_line(progress.stage, progress.done, progress.loss)
        if time.monotonic() - self._shown >= SHOW_SECONDS:
            self._shown = time.monotonic()
            self._show()

    def _work(self, stage: str) -> float:
        spec = self._plan.stages[stage]
        return float(spec.steps) if isinstance(spec, TrainSpec) else EVALUATION_STEPS

    def _show(self) -> None:
        done = [name for name, state in self._states.items() if state == "done"]
        left = self._time_left()
        running = sorted({self._plan.stages[s].label for s, state in self._states.items() if state == "running"})
        names = ", ".join(running[:3]) + (f" and {len(running) - 3} more" if len(running) > 3 else "")
        more = f"about {clock(left)} left" if left else ""
        self._bars.update(self._total, completed=len(done), more=more or names)
        for stage in [s for s in self._lines if self._states[s] != "running"]:
            self._bars.remove_task(self._lines.pop(stage))
        if self._live is None:
            self._say(f"{len(done)}/{len(self._states)} stages done; {names or 'waiting'}{'; ' + more if more else ''}")

    def _show_line(self, stage: str, step: int, loss: float) -> None:
        if stage not in self._lines and len(self._lines) < STAGE_LINES:
            spec = self._plan.stages[stage]
            self._lines[stage] = self._bars.add_task(f"  {spec.label}", total=self._work(stage), more="")
        if stage in self._lines:
            self._bars.update(self._lines[stage], completed=step, more=f"loss {loss:.3f}")

    def _time_left(self) -> float | None:
        """Seconds left, from the work done so far in this run; None until 3% of it is done."""
        total = done = 0.0
        for stage, state in self._states.items():
            work = self._work(stage)
            total += work
            done += work if state == "done" else min(work, self._steps.get(stage, 0.0))
        if not self._earlier:
            self._earlier = done or 1e-9
        mine, todo = done - self._earlier, total - self._earlier
        if todo <= 0 or mine < 0.03 * todo:
            return None
        return (time.monotonic() - self._started) * (todo - mine) / mine

    def _say(self, text: str, *, force: bool = False) -> None:
        now = time.monotonic()
        if force or now - self._spoken >= PLAIN_SECONDS:
            self._spoken = now
            stamp = time.strftime("%H:%M:%S")
            self._console.print(f"{stamp} {text}", soft_wrap=True)

    def conclude(self, summary: RunSummary) -> None:
        """Prints the last lines: counts, skipped experiments, failures with their logs."""
        counts = summary.experiments
        words = ", ".join(f"{counts[state]} {state}" for state in counts if counts[state])
        work = f"{summary.worked} stages in {clock(summary.seconds)}" if summary.worked else "nothing was left to do"
        self._say(f"experiments: {words}; {work}", force=True)
        for why, experiments in summary.skipped.items():
            self._say(f"not run ({len(experiments)} experiments): {why}", force=True)
        for failure in summary.failures[:3]:
            self._say(f"failed: {failure.stage}: {failure.error}\n  log: {failure.log}", force=True)
        if summary.interrupted:
            self._say("interrupted; the same command resumes from here", force=True)
        sys.stderr.flush()
