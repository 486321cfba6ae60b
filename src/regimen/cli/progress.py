"""Progress of a run and of its report: live on a terminal, plain lines elsewhere, always on stderr.

Owns the display. Gets events from the scheduler and asks it nothing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from regimen.cli.status_view import clock
from regimen.cli.terminal import console as make_console
from regimen.execution.events import AlreadyDone, Note, RunEvent, StageChanged
from regimen.execution.events import Progress as Steps
from regimen.execution.runner import RunSummary
from regimen.plan import Plan, TrainSpec
from regimen.stages.messages import StageProgress

FIRST_LINES = 10  # plain lines that may follow each other after PLAIN_SECONDS
PLAIN_SECONDS, LATER_SECONDS = 5.0, 60.0  # at most one plain line in this time: at first, and after the first lines
SHOWN = 3  # trainings that a plain line names
SHOW_SECONDS = 0.2  # a large plan changes often, and going through all its stages takes time
STAGE_LINES = 8
EVALUATION_STEPS = 5.0  # training steps that an evaluation counts as in the estimate of the time left


@contextmanager
def steps_of(work: str, console: Console | None = None) -> Iterator[Callable[[str], None]]:
    """A function that shows the step of `work` under way, on one live line; where no terminal is, only `work`, once."""
    screen = console or make_console(stderr=True)
    if not screen.is_terminal:
        screen.print(f"{time.strftime('%H:%M:%S')} {work}", soft_wrap=True)
        yield lambda step: None
        return
    started = time.monotonic()
    with Bars(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=screen,
        transient=True,
    ) as bar:
        line = bar.add_task(work, total=None)
        yield lambda step: bar.update(line, description=f"{work}: {step}")
    screen.print(f"{work}: {clock(time.monotonic() - started)}")


class Progress:
    """An observer of a run; use as a context manager around it."""

    def __init__(self, plan: Plan, console: Console | None = None):
        self._plan = plan
        self._console = console or make_console(stderr=True)
        self._states: dict[str, str] = dict.fromkeys(plan.stages, "pending")
        self._steps: dict[str, StageProgress] = {}
        self._started = time.monotonic()
        self._earlier = 0.0
        self._began = False  # whether a stage of this run has begun
        self._last_line = 0.0
        self._lines_printed = 0
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
        self._looks: dict[str, int] = {}  # stage -> the step of the last look that was said
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
                self._began = self._began or state == "running"
                if state == "failed":
                    self._say(f"failed: {self._plan.stages[stage].label}: {error}")
            case AlreadyDone(stages):
                self._states |= dict.fromkeys(stages, "done")
            case Note(text):
                self._say(text)
            case Steps(stages):
                for progress in stages:
                    self._steps[progress.stage] = progress
                    self._show_line(progress)
        if time.monotonic() - self._shown >= SHOW_SECONDS:
            self._shown = time.monotonic()
            self._show()

    def _work(self, stage: str) -> float:
        spec = self._plan.stages[stage]
        return float(spec.steps) if isinstance(spec, TrainSpec) else EVALUATION_STEPS

    def _show(self) -> None:
        done = sum(state == "done" for state in self._states.values())
        left = self._time_left()
        doing = self._doing()
        more = f"about {clock(left)} left" if left else ""
        self._bars.update(self._total, completed=done, more=more or doing)
        for stage in [s for s in self._lines if self._states[s] != "running"]:
            self._bars.remove_task(self._lines.pop(stage))
        if self._live is None:
            self._say_now_and_then("; ".join(filter(None, (f"{done}/{len(self._states)} stages done", doing, more))))

    def _doing(self) -> str:
        """The stages that run, trainings first, with step and loss; before the first, that workers are starting."""
        running = [stage for stage, state in self._states.items() if state == "running"]
        if not running:
            return "" if self._began or "pending" not in self._states.values() else "workers are starting"
        trainings = [self._steps[stage] for stage in running if stage in self._steps]
        if self._live is None and trainings:
            names = [
                f"{self._plan.stages[one.stage].label} step {one.done:,} of {one.steps:,}, loss {one.loss:.3f}"
                for one in trainings
            ]
        else:
            names = sorted({self._plan.stages[stage].label for stage in running})
        return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")

    def _show_line(self, progress: StageProgress) -> None:
        stage = progress.stage
        if stage not in self._lines and len(self._lines) < STAGE_LINES:
            spec = self._plan.stages[stage]
            self._lines[stage] = self._bars.add_task(f"  {spec.label}", total=self._work(stage), more="")
        if stage in self._lines:
            seen = f"; {progress.look.words}" if progress.look else ""
            self._bars.update(self._lines[stage], completed=progress.done, more=f"loss {progress.loss:.3f}{seen}")
        if progress.look and self._live is None and self._looks.get(stage) != progress.look.step:
            self._looks[stage] = progress.look.step
            self._say(f"{self._plan.stages[stage].label}: {progress.look.words}")

    def _time_left(self) -> float | None:
        """Seconds left, from the work done so far in this run; None until 3% of it is done."""
        total = done = 0.0
        for stage, state in self._states.items():
            work = self._work(stage)
            total += work
            done += work if state == "done" else min(work, self._done_steps(stage))
        if not self._earlier:
            self._earlier = done or 1e-9
        mine, todo = done - self._earlier, total - self._earlier
        if todo <= 0 or mine < 0.03 * todo:
            return None
        return (time.monotonic() - self._started) * (todo - mine) / mine

    def _done_steps(self, stage: str) -> float:
        return float(self._steps[stage].done) if stage in self._steps else 0.0

    def _say_now_and_then(self, text: str) -> None:
        """A plain line of progress, unless the last one is too near."""
        now = time.monotonic()
        if now - self._last_line >= (PLAIN_SECONDS if self._lines_printed < FIRST_LINES else LATER_SECONDS):
            self._last_line = now
            self._lines_printed += 1
            self._say(text)

    def _say(self, text: str) -> None:
        self._console.print(f"{time.strftime('%H:%M:%S')} {text}", soft_wrap=True)

    def conclude(self, summary: RunSummary) -> None:
        """Prints the last lines: counts, skipped experiments, failures with their logs."""
        counts = summary.experiments
        words = ", ".join(f"{counts[state]} {state}" for state in counts if counts[state])
        work = f"{summary.worked} stages in {clock(summary.seconds)}" if summary.worked else "nothing was left to do"
        self._say(f"experiments: {words}; {work}")
        for why, experiments in summary.skipped.items():
            self._say(f"not run ({len(experiments)} experiments): {why}")
        for failure in summary.failures[:3]:
            self._say(f"failed: {failure.stage}: {failure.error}\n  log: {failure.log}")
        if summary.interrupted:
            self._say("interrupted; the same command resumes from here")
        sys.stderr.flush()
