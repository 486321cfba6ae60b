"""`regimen plan`: shows the work and cost of a study before it runs. Never imports torch."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regimen.cli.options import Choice, DataOption, JsonOption, StudyArgument, TrustOption, folder_of, spread

if TYPE_CHECKING:
    from regimen.study import Study


@spread
def plan(
    study: StudyArgument,
    choice: Choice,
    data: DataOption = None,
    gpus: Annotated[int, typer.Option(help="GPUs that the plan is to run on.", metavar="N")] = 1,
    trust_code: TrustOption = False,
    json_output: JsonOption = False,
) -> None:
    """Show the experiments, the shared stages, the hours, the Gantt."""
    from regimen.api import load_and_compile
    from regimen.plan.makespan import makespan_of
    from regimen.plan.power import power_of
    from regimen.plan.rates import measured_hours, remembered
    from regimen.stages.item_counts import item_counts

    here = folder_of(study)
    compiled = load_and_compile(study, gpus=gpus, data=data, here=here, trust_code=trust_code, **choice.keywords())
    power = power_of(compiled, item_counts(compiled, data, here)) if compiled.study.questions else []
    measured = measured_hours(compiled, remembered(compiled.study))
    makespan = makespan_of(compiled)
    reach = _reach(compiled.study)
    if json_output:
        document: Any = compiled.to_json()
        document["totals"] |= {**makespan.to_json(), "measured": asdict(measured) if measured else None}
        document["adapter_reach"] = reach
        document["power"] = [one.to_json() for one in power]
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    from regimen.cli.plan_view import plan_view
    from regimen.cli.terminal import console

    console().print(plan_view(compiled, makespan, measured, reach, power))


def _reach(study: Study) -> float | None:
    """The share of the weights that the adapters of a base with experts sit on, where that base is here."""
    from regimen.engine.locate import present_folder
    from regimen.engine.prospect import has_experts, prospect
    from regimen.errors import ModelError

    folder = present_folder(study.base)
    if folder is None or not has_experts(folder):
        return None
    try:
        base = prospect(folder)
    except ModelError:  # `run` refuses it in its own words
        return None
    return round(base.reach(study.adapter), 4) if base.experts else None
