"""A run folder in Python and in notebooks: scores, items, comparisons and adapters as tables and paths.

Owns `Run`. Does not know how stages are carried out; a half-finished run is read as far as it is.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from regimen.errors import ModelError, RunFolderError, UsageError
from regimen.plan import AdapterSpec, Plan, PlannedExperiment, TrainSpec, compile_with
from regimen.results import RunFolder, layout
from regimen.study import Study, unknown_name

if TYPE_CHECKING:
    import pandas as pd

    from regimen.analysis.evidence import Evidence
    from regimen.analysis.experiment_comparison import ExperimentComparison

_UNFIT = ("logprobs", "values", "bleu_counts", "entity_counts", "prompt_hash")  # of statistics, no reader's columns


class Run:
    """A run folder, opened for reading; works on a half-finished run.

    What it reads is as of its opening: open it again to see what a run under way has added.
    """

    def __init__(self, out: str | Path):
        self.folder = RunFolder(Path(out))
        self.study: Study = self.folder.study()
        self.plan: Plan = compile_with(self.study, self.folder.compile_options())

    @cached_property
    def _evidence(self) -> Evidence:
        from regimen.analysis.evidence import Evidence
        from regimen.results.tables import RunTables

        return Evidence(RunTables(self.folder, self.plan))

    def results(self) -> pd.DataFrame:
        """The columns of results.csv, one row for each experiment, task and metric; missing cells are left out."""
        from regimen.analysis.results_table import results_table

        return results_table(self.folder, self.plan)

    def scores(self) -> pd.DataFrame:
        """Headline metrics: a row for each experiment, a column for each task; empty where nothing is scored yet."""
        import pandas as pd

        cells = self._evidence.tables.cells.values()
        found: dict[str, dict[str, float | None]] = {}
        for cell in cells:
            if cell.key == cell.task and cell.skipped is None:
                found.setdefault(cell.experiment, {})[cell.task] = cell.metrics.get(cell.headline)
        return pd.DataFrame.from_dict(found, orient="index").reindex(columns=[t for t in self.study.tasks])

    def items(self, task: str, *experiments: str) -> pd.DataFrame:
        """The answers to a task's items, a row for each experiment and item, with prompt, right answer and score.

        `experiments` limits them ("zero-shot" is the base as it is). Columns: experiment, item_id, prompt, target,
        prediction, text, score, nats, truncated, failed, detail, twin. Raises UsageError for unknown names,
        RunFolderError where the task is not scored yet.
        """
        import pandas as pd

        if task not in self.study.tasks:
            raise unknown_name("task", task, self.study.tasks)
        cells = [cell for cell in self._evidence.tables.cells.values() if cell.key == task and cell.skipped is None]
        known = [cell.experiment for cell in cells]
        if not cells:
            raise RunFolderError(f"{task} is not scored yet in {self.folder.path}; run the study first")
        for name in experiments:
            if name not in known:
                raise unknown_name(f"experiment with scores on {task},", name, known)
        frames = []
        for cell in cells:
            if not experiments or cell.experiment in experiments:
                rows = pd.read_parquet(cell.folder / layout.ITEM_ROWS)
                frames.append(rows.drop(columns=["task", *_UNFIT], errors="ignore").assign(experiment=cell.experiment))
        table = pd.concat(frames, ignore_index=True)
        prompts = self._prompts(task)
        table.insert(1, "prompt", [prompts.get(item) for item in table["item_id"]])
        return table.reindex(columns=["experiment", *(name for name in table.columns if name != "experiment")])

    def _prompts(self, task: str) -> dict[str, str]:
        """The prompts of a task's items without shots, by id."""
        from regimen.data.items import read_items
        from regimen.plan import EvaluateSpec, ItemsSpec

        for stage in self.plan.stages.values():
            if isinstance(stage, EvaluateSpec) and stage.task_name == task:
                items = self.plan.stages[stage.items]
                assert isinstance(items, ItemsSpec)
                path = self.folder.folder(items).path / layout.ITEMS
                return {item.id: item.prompt for item in read_items(path)}
        return {}

    def compare(self, a: str, b: str, tasks: Sequence[str] = ()) -> ExperimentComparison:
        """Two experiments side by side ("zero-shot" is the base): recipes, and paired differences of `a` over `b`.

        `tasks` limits them. `table()` of the answer is a DataFrame. Raises UsageError for unknown names.
        """
        from regimen.analysis.experiment_comparison import compare_experiments

        return compare_experiments(self._evidence, a, b, tasks)

    def adapter(self, experiment: str) -> Path:
        """The folder of an experiment's adapter, checked against its digests: `PeftModel.from_pretrained(base, path)`.

        Raises UsageError for an unknown name, for a baseline, for full fine-tuning and for an adapter on a merged base
        (`regimen export --merged` writes these models whole); RunFolderError where it is not trained yet or damaged.
        """
        planned = self.planned(experiment)
        stage = self.plan.stages[planned.ends[-1]]
        assert isinstance(stage, TrainSpec)
        if stage.leg.adapter.method != "lora" or stage.leg.merged:
            why = "trains all weights" if stage.leg.adapter.method != "lora" else "continues on a merged base"
            raise UsageError(f"{experiment} {why}, so no adapter holds it; `regimen export --merged` writes its model")
        return self.trained(planned.ends[-1], experiment)

    def planned(self, experiment: str) -> PlannedExperiment:
        """The planned experiment that trains something; raises UsageError for an unknown name and for a baseline."""
        by_id = {planned.experiment.id: planned for planned in self.plan.experiments}
        if experiment not in by_id:
            raise unknown_name("experiment", experiment, by_id)
        if (given := by_id[experiment].experiment.given) and not by_id[experiment].trainings:
            raise UsageError(f"{experiment} trains nothing; it is the adapter {given.adapter}, as it was given")
        if not by_id[experiment].ends:
            raise UsageError(f"{experiment} is a baseline and trains nothing; its model is {self.study.base.id}")
        return by_id[experiment]

    def trained(self, stage: str, experiment: str, data: Path | None = None) -> Path:
        """The folder of a train stage that is done and whole, on a base that is as it was; raises RunFolderError.

        `data` is the mirror in which the base lies. Raises ModelError where the base has changed.
        """
        from regimen.stages.inputs import base_inputs, differing

        spec = self.plan.stages[stage]
        outcome = self.folder.outcome(spec)
        if outcome is None:
            raise RunFolderError(f"{experiment} is not trained yet in {self.folder.path}; run the study first")
        assert isinstance(spec, TrainSpec | AdapterSpec)
        base = spec.leg.base if isinstance(spec, TrainSpec) else spec.base
        if changed := differing(outcome.inputs, base_inputs(base, data, self.folder.digests)):
            raise ModelError(
                f"{changed[0]} has changed since {experiment} was trained on it; put it back as it was, or train again "
                "by `regimen run` with --accept-changed"
            )
        return self.folder.folder(spec).path

    def _repr_html_(self) -> str:
        scores = self.scores()
        trained = [planned for planned in self.plan.experiments if set(planned.stages) <= set(self._evidence.outcomes)]
        of = f"{len(trained)} of {len(self.plan.experiments)} experiments done"
        title = html.escape(f"{self.study.study} ({self.study.profile}): {of}")
        return f"<p><b>{title}</b>. Headline metrics:</p>{scores.round(3).to_html(na_rep='')}"


def open_run(out: str | Path) -> Run:
    """Opens a run folder; raises RunFolderError for a folder without a run."""
    return Run(out)
