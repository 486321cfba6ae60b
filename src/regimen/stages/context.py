"""The context of a stage: its worker's setup and the models loaded there. Never part of a result's identity.

Owns the context and the caches of a worker process (the base, loaded once; tokenizers; stores of blocks). Does not
know scheduling.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from regimen.data.blocks import BlockStore
from regimen.data.items import texts_to_avoid
from regimen.data.overlap import TestTexts
from regimen.data.sources import Where
from regimen.data.tokenizer import TextTokenizer
from regimen.digests import Digests
from regimen.engine.base_model import BaseModel
from regimen.engine.checkpoints import load_adapter
from regimen.engine.device_watch import watch
from regimen.engine.loading import load_base
from regimen.engine.locate import locate_base
from regimen.engine.memory import release_memory, share_device
from regimen.engine.merging import merge_row
from regimen.errors import RunFolderError
from regimen.plan import MergedEnd, Stage, Tuned
from regimen.results import (
    ChosenFacts,
    ComparedFacts,
    ItemsFacts,
    Machine,
    Outcome,
    PreparedFacts,
    StageFolder,
    layout,
    read_outcome,
)
from regimen.results.facts import F
from regimen.results.stage_folder import check_files
from regimen.stages.blocks import blocks_folder
from regimen.stages.inputs import inputs_of
from regimen.stages.messages import Ended, Event
from regimen.stages.options import WorkerSetup
from regimen.study.schema import Adapter, Base


def _nobody_listens(event: Event) -> None:
    return


@dataclass
class Context:
    """A worker's setup, what its process has loaded, and of the job under way its observer and its inputs' folders."""

    setup: WorkerSetup
    stopping: Callable[[], bool]
    report: Callable[[Event], None] = _nobody_listens
    inputs: Mapping[str, str] = field(default_factory=dict)
    began_with: dict[str, dict[str, str]] = field(default_factory=dict)
    _bases: dict[tuple[str, ...], BaseModel] = field(default_factory=dict)
    _tokenizers: dict[str, TextTokenizer] = field(default_factory=dict)
    _stores: dict[str, BlockStore] = field(default_factory=dict)
    _tests: dict[tuple[str, ...], TestTexts] = field(default_factory=dict)

    def __post_init__(self) -> None:
        share_device(self.setup.device, self.setup.sharers)

    def watch(self, hangs: Callable[[str], None]) -> None:
        """From here on, calls `hangs` with one sentence if the worker's GPU ever hangs."""
        watch(self.setup.device, hangs)

    def release_memory(self) -> None:
        """Gives the device back what it holds of work that did not fit, so that smaller work finds room."""
        self._bases.clear()
        release_memory()

    @cached_property
    def digests(self) -> Digests:
        """The digests of files that the driver knew when this worker began, and those that it computes itself."""
        return Digests(self.setup.options.out / layout.DIGESTS)

    def begin(self, stage: Stage) -> None:
        """Takes the digests of what a stage reads, before it reads it: they are recorded with its outcome."""
        options = self.setup.options
        read = inputs_of(stage, options.data, options.here, self.digests)
        given = {name: read_outcome(self.input(name), name).content for name in stage.inputs}
        self.began_with[stage.fingerprint] = read | {name: content for name, content in given.items() if content}

    @property
    def cache(self) -> Path:
        """The cache folder."""
        return self.setup.cache

    def where(self, origin: str) -> Where:
        """The folders in which rows are looked for."""
        return Where(origin, self.setup.options.data, self.setup.options.here)

    def shareable(self, text: str) -> str:
        """The text without this machine's folders: what is recorded with a stage may be published."""
        options = self.setup.options
        folders = ((options.data, "the mirror"), (options.here, "."), (self.cache, "the cache"), (options.out, "OUT"))
        for folder, word in folders:
            if folder is not None and folder.is_absolute():
                text = text.replace(str(folder), word)
        return text

    def input(self, fingerprint: str) -> Path:
        """The folder of a stage that this one builds on; raises RunFolderError if it is not done or not whole."""
        name = self.inputs.get(fingerprint)
        path = self.setup.stages / (name or f"?-{fingerprint}")
        if name is None or not (path / layout.MARKER).is_file():
            raise RunFolderError(f"the stage {name or fingerprint} is not done; run the same command again")
        check_files(path, read_outcome(path, fingerprint), self.digests)
        return path

    def facts(self, fingerprint: str, kind: type[F]) -> F:
        """The facts of the stage of this kind that this one builds on; raises RunFolderError as `input` does."""
        facts = read_outcome(self.input(fingerprint), fingerprint).facts
        if not isinstance(facts, kind):
            raise RunFolderError(f"{self.input(fingerprint)} holds the outcome of another kind of stage; delete it")
        return facts

    def chosen(self, tuned: Tuned) -> ComparedFacts:
        """The candidate that a choice put at a place."""
        return self.facts(tuned.choice, ChosenFacts).candidates[tuned.place - 1]

    def base_folder(self, base: Base) -> Path:
        """The folder of a base model."""
        return locate_base(base, self.setup.options.data)

    def base(self, base: Base, adapter: Adapter | None = None, merged: Sequence[MergedEnd] = ()) -> BaseModel:
        """The loaded base, with the ends of `merged` merged into it, each by its own settings; kept while it is used.

        A full fine-tuning overwrites its base, so it gets one of its own each time.
        """
        key = (base.id, base.revision, base.precision, *(end.stage for end in merged))
        if adapter is not None and adapter.method == "full":
            self._bases.clear()
            return load_base(self.base_folder(base), base.precision, self.setup.device)
        if key not in self._bases:
            self._bases.clear()  # one base at a time: it is what fills the memory
            loaded = load_base(self.base_folder(base), base.precision, self.setup.device)
            for end in merged:
                merge_row(loaded, end.adapter, load_adapter(self.input(end.stage), loaded, end.adapter))
            self._bases[key] = loaded
        return self._bases[key]

    def trained_model(self, base: Base, trained: str) -> BaseModel:
        """The whole model that a full fine-tuning left behind."""
        self._bases.clear()
        return load_base(self.input(trained), base.precision, self.setup.device)

    def tokenizer(self, base: Base) -> TextTokenizer:
        """The base's tokenizer."""
        folder = str(self.base_folder(base))
        if folder not in self._tokenizers:
            self._tokenizers[folder] = TextTokenizer(Path(folder))
        return self._tokenizers[folder]

    def store(self, prepared: str) -> BlockStore:
        """The blocks of a prepare stage, memory-mapped."""
        if prepared not in self._stores:
            self._stores[prepared] = BlockStore(blocks_folder(self.facts(prepared, PreparedFacts), self.cache))
        return self._stores[prepared]

    def tests(self, stages: tuple[str, ...]) -> TestTexts:
        """The test items of these stages, ready to be looked for in training rows; the last ones asked for are kept."""
        if stages not in self._tests:
            self._tests.clear()
            tasks = [self.facts(stage, ItemsFacts).task for stage in stages]
            files = [self.input(stage) / layout.ITEMS for stage in stages]
            self._tests[stages] = TestTexts(texts_to_avoid(zip(tasks, files, strict=True)))
        return self._tests[stages]

    def machine(self, cohort: int = 1) -> Machine:
        """The machine that ran a stage which shared the work with `cohort` - 1 others."""
        import torch

        device = self.setup.device
        name = torch.cuda.get_device_name(device) if device.startswith("cuda") else platform.machine()
        return Machine(
            pid=os.getpid(),
            device=device,
            device_name=name,
            gpu=os.environ.get("CUDA_VISIBLE_DEVICES") if device.startswith("cuda") else None,
            threads=torch.get_num_threads(),
            versions={package: version(package) for package in ("regimen-lm", "torch", "transformers")},
            cohort=cohort,
        )

    def log(self, folder: Path, event: str, **facts: Any) -> None:
        """Appends a line to a stage's log."""
        line = json.dumps({"time": round(time.time(), 3), "event": event, **facts}, ensure_ascii=False)
        with (folder / layout.LOG).open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def finish(self, folder: StageFolder, outcome: Outcome) -> None:
        """Commits an outcome and reports it; the log says "done" (or "skipped") once, by who committed it."""
        outcome = replace(outcome, inputs=self.began_with.pop(outcome.fingerprint, {}))
        if folder.commit(outcome):
            self.log(folder.path, outcome.status, seconds=round(outcome.seconds, 3))
        self.report(Ended(read_outcome(folder.path, outcome.fingerprint)))
