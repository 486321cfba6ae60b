"""A plan on a terminal: phases, experiments, totals, Gantt.

Owns the drawing. Does not know how plans are made.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from regimen.cli.power_view import power_view
from regimen.plan import Plan, PlannedExperiment
from regimen.plan.makespan import Makespan
from regimen.plan.power import ContrastPower
from regimen.plan.rates import MeasuredHours
from regimen.plan.unshared import steps_unshared
from regimen.study.axes import shown
from regimen.study.recipes import MARK

GANTT_COLUMNS = 48
ALWAYS = ("id", "trains on", "steps", "hours")  # columns that a study without such values has too
MAX_AXES = 2  # columns of the table of experiments; more would push others off a terminal of 80 columns


def plan_view(
    plan: Plan,
    makespan: Makespan,
    measured: MeasuredHours | None,
    reach: float | None = None,
    power: Sequence[ContrastPower] = (),
) -> Group:
    """The whole view; `reach` is the share of the weights under the adapters, where that is worth a line."""
    foot = (_foot(plan), *_unshared(plan), _makespan(plan, makespan), _machine(measured), *_experts(reach))
    tables = (_phases(plan), _experiments(plan), *_tunings(plan), _gantt(plan, plan.gpus), *power_view(power))
    return Group(_head(plan), *tables, *_budget(plan), *foot)


def _head(plan: Plan) -> Text:
    study = plan.study
    base = "base " + " and ".join(f"{base.id} ({base.precision})" for base in study.bases)
    return Text.assemble(
        (f"{study.title or study.study}\n", "bold"),
        f"study {study.study}, profile {study.profile}, track {plan.track}, {base}",
    )


def _phases(plan: Plan) -> Table:
    table = Table(title="Phases", title_justify="left")
    for name, justify in (("phase", "left"), ("", "left"), ("experiments", "right"), ("GPU-hours", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    totals = plan.totals
    for phase, values in totals["by_phase"].items():
        title = plan.study.phases[phase].title
        table.add_row(phase, title, str(values["experiments"]), _hours(values["gpu_hours"], 1))
    table.add_section()
    table.add_row("", "total", str(totals["experiments"]), _hours(totals["gpu_hours_planned"], 1))
    return table


def _experiments(plan: Plan) -> Table:
    """A row for each recipe: its runs together where it has several, a column for each axis that varies.

    A long mixture is folded, so that every weight stays on a terminal of 80 columns. Of more axes than fit beside each
    other, only the ids tell the values.
    """
    recipes = plan.recipes
    planned = {one.experiment.id: one for one in plan.experiments}
    axes = list(dict.fromkeys(axis for recipe in recipes for axis in recipe.first.varied))
    axes = axes if len(axes) <= MAX_AXES else []
    rows = [_recipe_row([planned[name] for name in recipe.run_ids], axes) for recipe in recipes]
    names = [name for name in (rows[0] if rows else ALWAYS) if name in ALWAYS or any(row[name] for row in rows)]
    fast = "*" in names
    table = Table(title="Experiments" + (" (*: fast track)" if fast else ""), title_justify="left")
    for name in names:
        if name == "id":
            table.add_column(name, overflow="fold", min_width=min(28, max(len(row["id"]) for row in rows)))
        elif name == "trains on":
            table.add_column(name, overflow="fold")
        else:
            table.add_column(name, justify="right", no_wrap=name in ("steps", "runs", "hours", "*"))
    phase = ""
    for recipe, row in zip(recipes, rows, strict=True):
        if recipe.first.phase != phase:
            table.add_section()
            phase = recipe.first.phase
        table.add_row(*(row[name] for name in names))
    return table


def _recipe_row(runs: list[PlannedExperiment], axes: list[str]) -> dict[str, str]:
    """{column: text} of a recipe, by its first run; the hours of all."""
    first = runs[0]
    own = first.experiment
    epochs = [f"{leg.epochs:g}" for leg in own.legs if leg.epochs is not None]
    return {
        "id": own.id.partition(MARK)[0] if axes else own.id,
        **{axis.rpartition(".")[2].replace("_", " "): _shown(axis, own.varied.get(axis)) for axis in axes},
        "trains on": _mixtures(first) + (f"\nafter {own.start_from}" if own.start_from else ""),
        "steps": f"{first.steps:,}" if first.steps else "",
        "epochs": ", ".join(epochs),
        "runs": str(len(runs)) if len(runs) > 1 else "",
        "hours": _hours(sum(run.gpu_hours for run in runs), 2),
        "*": "*" if first.fast_track else "",
    }


def _tunings(plan: Plan) -> list[Table]:
    """The learning rates that are chosen: candidates, rungs, steps and hours, once for all runs of a recipe."""
    tuned = {planned.experiment.recipe: planned.tuning for planned in plan.experiments if planned.tuning}
    if not tuned:
        return []
    table = Table(title="Learning rates that are chosen on validation rows", title_justify="left")
    table.add_column("id", overflow="fold")
    table.add_column("candidates", overflow="fold")
    table.add_column("trained to steps", overflow="fold")
    for name in ("steps", "hours"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, tuning in tuned.items():
        rates = ", ".join(f"{rate:.3g}" for rate in tuning.rates)
        rungs = ", ".join(f"{rung.candidates} to {rung.steps:,}" for rung in tuning.rungs)
        table.add_row(name, rates, rungs, f"{tuning.steps:,}", _hours(tuning.gpu_hours, 2))
    return [table]


def _shown(axis: str, value: bool | int | float | str | None) -> str:
    return "" if value is None else shown(axis, value)


def _hours(hours: float, digits: int) -> str:
    """Hours as text; "<0.1" instead of 0 where there is a little."""
    least = 10.0**-digits
    return f"<{least:.{digits}f}" if 0 < hours < least / 2 else f"{hours:,.{digits}f}"


def _mixtures(planned: PlannedExperiment) -> str:
    from regimen.study.unfolding import mixture_text

    legs = planned.experiment.legs
    return " > ".join(mixture_text(leg.mixture, always_weights=False) for leg in legs)


def _gantt(plan: Plan, gpus: int) -> Table:
    end = max((bar.end_hour for bar in plan.gantt), default=0.0) or 1.0
    table = Table(
        title=f"Gantt on {gpus} GPU{'s' if gpus > 1 else ''}: {end:,.1f} hours without sharing", title_justify="left"
    )
    table.add_column("phase")
    table.add_column("hours", justify="right")
    table.add_column("")
    for phase in dict.fromkeys(bar.phase for bar in plan.gantt):
        bars = [bar for bar in plan.gantt if bar.phase == phase]
        first, last = min(b.start_hour for b in bars), max(b.end_hour for b in bars)
        left = round(first / end * GANTT_COLUMNS)
        width = max(1, round((last - first) / end * GANTT_COLUMNS))
        table.add_row(phase, f"{first:,.1f}-{last:,.1f}", " " * left + "█" * width)
    return table


def _budget(plan: Plan) -> list[Text]:
    """The experiments that a budget leaves out, and the questions that stay open without them."""
    if plan.budget is None:
        return []
    budget = plan.budget
    lines = [
        f"within {budget.budget:g} GPU-hours, {budget.hours:.1f} used: {len(budget.chosen)} experiments",
        f"questions that can be answered: {', '.join(budget.answerable) or 'none'}",
    ]
    for name, titles in budget.open.items():
        more = f" and {len(titles) - 3} more" if len(titles) > 3 else ""
        lines.append(f"{name} stays open, without {'; '.join(titles[:3])}{more}")
    if budget.left_out:
        lines.append(f"left out: {', '.join(budget.left_out)}")
    return [Text("\n".join(lines))]


def _foot(plan: Plan) -> Text:
    totals = plan.totals
    planned, to_run = totals["steps_planned"], totals["steps_to_run"]
    saved = f" ({1 - to_run / planned:.0%} shared)" if planned else ""
    return Text(
        f"{planned:,} steps planned, {to_run:,} to run{saved}; "
        f"{totals['gpu_hours_planned']:,.1f} GPU-hours planned, {totals['gpu_hours_to_run']:,.1f} to run, "
        f"at {totals['rate']['steps_per_gpu_hour']:,.0f} steps an hour ({totals['rate']['source']})"
    )


def _makespan(plan: Plan, makespan: Makespan) -> Text:
    """How long the plan takes as it is run, and with which cohorts."""
    options = plan.options
    narrow = ", fewer where a long way is left" if options.cohort_limit else ""
    return Text(
        f"as it is run on {makespan.workers} GPU{'s' if makespan.workers > 1 else ''}: {makespan.hours:,.1f} hours, "
        f"{options.cohort_width} adapters together at the most{narrow}, {makespan.efficiency:.0%} of the GPUs used "
        f"(step times {makespan.source})"
    )


def _unshared(plan: Plan) -> list[Text]:
    """The steps that schedules cost whose trainings of several lengths share none."""
    steps = steps_unshared(plan)
    if not steps:
        return []
    return [
        Text(f"cosine and linear schedules share no steps between lengths: {steps:,} of these steps are run for that")
    ]


def _experts(reach: float | None) -> list[Text]:
    """How much of a base with experts the adapters sit on."""
    if reach is None:
        return []
    return [
        Text(
            f"the base holds experts: adapters sit on {reach:.1%} of its decoder's weights, embeddings apart; experts "
            "that it keeps as one block of weights get none"
        )
    ]


def _machine(measured: MeasuredHours | None) -> Text:
    """The hours on this machine at the rate that `regimen bench` measured."""
    if measured is None:
        return Text("on this machine: not measured; `regimen bench` measures it")
    steps = measured.machine_steps_per_hour
    return Text(
        f"on this machine (measured {measured.measured}: {steps:,.0f} steps an hour with {measured.workers} "
        f"workers, {measured.width} adapters together, MFU {measured.mfu:.0%}): "
        f"{measured.hours_to_run:,.1f} hours of training to run, {measured.hours_planned:,.1f} without sharing; "
        "evaluation comes on top"
    )
