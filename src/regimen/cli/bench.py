"""`regimen bench`: measures how fast this machine trains a study's base; `plan` and `run` use the result."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regimen.cli.options import DataOption, JsonOption, ProfileOption, TrustOption

if TYPE_CHECKING:
    from regimen.engine.base_model import BaseModel
    from regimen.engine.bench import Measured
    from regimen.plan import Plan
    from regimen.plan.rates import Rate

NEAR = 0.98  # of two settings as near as this, the smaller is taken
FORMULA = "4N + 6P + 12 L H Q T (arXiv 2204.02311, appendix B; the base's weights do not train)"
GAIN = 1.1  # compiling pays from this gain on, if the plan is long enough


def bench(
    study: Annotated[str, typer.Option("--study", help="A packaged study or a YAML file.")] = "qwen2-finance",
    profile: ProfileOption = None,
    data: DataOption = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Seconds of measuring for each setting.")] = 3.0,
    widest: Annotated[int, typer.Option(min=1, help="The widest cohort to try.")] = 8,
    compiling: Annotated[bool, typer.Option("--compile/--no-compile", help="Also try compiled layers.")] = True,
    trust_code: TrustOption = False,
    json_output: JsonOption = False,
) -> None:
    """Measure tokens a second, share of peak and memory for K = 1, 2, 4, ...; remember the best."""
    from regimen.api import load_and_compile
    from regimen.engine.bench import flops_per_token, peak_flops, use_threads
    from regimen.engine.loading import load_base
    from regimen.engine.locate import locate_base
    from regimen.execution.machine import allocator, available_cores, default_workers
    from regimen.gpus import visible
    from regimen.plan.rates import remember

    os.environ.update(allocator())
    plan = load_and_compile(study, profile=profile, trust_code=trust_code)
    gpus = len(visible())
    workers = gpus or default_workers(plan)
    base = load_base(locate_base(plan.study.base, data), plan.study.base.precision, "cuda:0" if gpus else "cpu")
    use_threads(max(1, available_cores() // workers))
    peak, origin = peak_flops(base)
    measured, best = _measure_all(plan, base, peak, seconds, widest, workers, compiling)
    rate = _rate(best, workers, by_width(measured, best))
    document = {
        "study": plan.study.study,
        "profile": plan.study.profile,
        "base": plan.study.base.id,
        "precision": plan.study.base.precision,
        "tokens_a_step": plan.study.batch.sequences * plan.study.batch.block,
        "flops_per_token": flops_per_token(base, plan.study.adapter, plan.study.batch.block),
        "flops_formula": FORMULA,
        "peak_flops": peak,
        "peak_from": origin,
        "measured": [asdict(one) for one in measured],
        "chosen": asdict(rate),
        "kept_in": str(remember(plan.study, rate)),
    }
    if json_output:
        typer.echo(json.dumps(document, indent=2))
    else:
        _show(document)


def _rate(best: Measured, workers: int, by_width: tuple[tuple[int, float], ...]) -> Rate:
    from regimen.plan.rates import Rate, hardware

    return Rate(
        device=hardware(),
        measured=time.strftime("%Y-%m-%d"),
        workers=workers,
        width=best.width,
        pass_tokens=best.pass_tokens,
        compiled=best.compiled,
        steps_per_hour=best.steps_per_second * 3600,
        tokens_per_second=best.tokens_per_second,
        mfu=best.mfu,
        by_width=by_width,
    )


def _measure_all(
    plan: Plan, base: BaseModel, peak: float, seconds: float, widest: int, workers: int, compiling: bool
) -> tuple[list[Measured], Measured]:
    """Measures widths 1, 2, 4, ..., then smaller passes and compiled layers, if they may pay, at the width by which the
    plan ends soonest on so many workers.

    Returns all measurements and the one to use. Raises MachineError where not even one adapter fits into memory.
    """
    from regimen.engine.bench import measure
    from regimen.errors import MachineError

    study = plan.study
    try_out = partial(measure, base, study.adapter, study.schedule, study.batch, peak=peak, seconds=seconds)
    measured: list[Measured] = []
    widths = [1] if study.adapter.method == "full" else [w for w in (1, 2, 4, 8, 16, 32, 64) if w <= widest]
    for width in widths:
        try:
            measured.append(try_out(width))
        except MachineError:  # it does not fit, and wider ones will not either
            if not measured:
                raise
            break
    best = _soonest(plan, measured, workers)
    whole = best.width * study.batch.sequences * study.batch.block
    for part in (2, 4):
        tokens = min(whole, best.pass_tokens) // part
        if tokens >= best.width * study.batch.block:
            measured.append(try_out(best.width, pass_tokens=tokens))
    best = chosen([one for one in measured if one.width == best.width])
    training = plan.steps_to_run / best.steps_per_second / workers
    if compiling and training * (1 - 1 / GAIN) > 30:  # compiling a base takes half a minute at the least
        tried = try_out(best.width, pass_tokens=best.pass_tokens, compiled=True)
        measured.append(tried)
        saved = training * (1 - best.tokens_per_second / tried.tokens_per_second)
        if tried.tokens_per_second >= GAIN * best.tokens_per_second and saved > 3 * tried.first_seconds:
            best = tried
    return measured, best


def _soonest(plan: Plan, measured: list[Measured], workers: int) -> Measured:
    """The measurement of the width by which the plan ends soonest."""
    from regimen.plan.makespan import simulation_of
    from regimen.plan.step_times import StepTimes

    times = StepTimes(tuple((one.width, one.width / one.steps_per_second / 3600) for one in measured), "measured")
    width = simulation_of(replace(plan, times=times)).choose(workers).width
    return next(one for one in measured if one.width == width)


def by_width(measured: list[Measured], best: Measured) -> tuple[tuple[int, float], ...]:
    """For each width the steps in an hour of all adapters together, with the gain of `best` over its width's first."""
    first: dict[int, float] = {}
    for one in measured:
        first.setdefault(one.width, one.steps_per_second)
    gain = best.steps_per_second / first[best.width]
    return tuple((width, rate * gain * 3600) for width, rate in sorted(first.items()))


def chosen(measured: list[Measured]) -> Measured:
    """The fastest; of those nearly as fast, the narrowest cohort with the largest pass."""
    top = max(one.tokens_per_second for one in measured)
    near = [one for one in measured if one.tokens_per_second >= NEAR * top]
    return min(near, key=lambda one: (one.width, -one.pass_tokens))


def _show(document: dict[str, Any]) -> None:
    from rich.table import Table

    from regimen.cli.terminal import console

    table = Table(title=f"{document['base']}, {document['precision']}, {document['chosen']['device']}")
    for name in ("K", "tokens a pass", "compiled", "tokens/s", "steps/s", "MFU", "peak memory", "first step"):
        table.add_column(name, justify="right")
    for one in document["measured"]:
        table.add_row(
            str(one["width"]),
            f"{one['pass_tokens']:,}",
            "yes" if one["compiled"] else "",
            f"{one['tokens_per_second']:,.0f}",
            f"{one['steps_per_second']:.2f}",
            f"{one['mfu']:.1%}",
            f"{one['peak_memory'] / 2**30:.1f} GiB",
            f"{one['first_seconds']:.1f} s",
        )
    screen = console()
    screen.print(table)
    rate = document["chosen"]
    screen.print(
        f"chosen: K = {rate['width']}, {rate['pass_tokens']:,} tokens a pass"
        f"{', compiled layers' if rate['compiled'] else ''}; {rate['steps_per_hour']:,.0f} steps an hour and worker, "
        f"{rate['workers']} workers. MFU: {document['flops_formula']}; peak {document['peak_flops'] / 1e12:,.2f} "
        f"TFLOP/s ({document['peak_from']}). Kept in {document['kept_in']}",
        soft_wrap=True,
    )
