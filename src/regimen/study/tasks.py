"""Tasks: what an end point is asked, how its answers are read, and how many of them.

Owns the shapes of a task and of evaluation. Does not know sources, training or phases.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from regimen.study.extraction import check_pattern
from regimen.study.margins import Margin
from regimen.study.metrics import HARNESS, OWN, VERDICTS, Scoring, fault_of
from regimen.study.values import (
    Count,
    Frozen,
    Name,
    Template,
)


class Generation(Frozen):
    """Greedy decoding: at most `tokens` new tokens, ended early by any of `stop` or the end-of-text token.

    Of programs (scoring: execution) the default is no stop at all.
    """

    tokens: Annotated[int, Field(ge=1, le=4096)]
    stop: tuple[str, ...] = ("\n",)


class CodeFile(Frozen):
    """A Python file beside the study, module.py, that holds metrics of the user's own."""

    module: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
    text: str

    @property
    def digest(self) -> str:
        """The SHA-256 of the text, in hex."""
        return sha256(self.text.encode("utf-8", errors="surrogatepass")).hexdigest()


class VerdictFile(Frozen):
    """The verdicts of NAME.jsonl beside the study: a line for each, the digest of item and answer and the score."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
    text: Annotated[str, Field(pattern=r"^([0-9a-f]{16} -?[0-9.einfa+-]+\n)*$")]

    @property
    def digest(self) -> str:
        """The SHA-256 of the text, in hex."""
        return sha256(self.text.encode()).hexdigest()

    @property
    def scores(self) -> dict[str, float]:
        """Digest of item and answer -> score."""
        return {key: float(score) for key, score in (line.split() for line in self.text.splitlines())}


class Task(Frozen):
    """One evaluation: the held-out rows of `source`, a way of scoring, metrics (the first is the headline).

    `panel`: "main" tasks are what experiments are compared on; "own" tasks are reported only for experiments that
    trained on their source; "text" tasks measure bits per byte of held-out text. `resample` names the group that
    the bootstrap draws whole: a template over the row, or "near-duplicates" (default: the item). `lm_eval` names a
    task of lm-evaluation-harness instead: rows, prompts and metrics (written `acc`, kept as "lm-eval:acc") are its own.
    `positive` is the class that `f1` is of (default: the second of the label's names). `extract` is a regular
    expression whose first group (or whole match) is read out of a generated answer, and out of the right one where
    it matches there. `margin` is the difference in the headline metric that would matter (default: the study's); it
    decides no fingerprint. `code` holds the files of the metrics written `module:function`; it is filled in when the
    study is loaded, as `verdicts` is with the files of those written `verdicts:name`.
    """

    title: str
    group: Name
    panel: Literal["main", "own", "text"] = "main"
    source: tuple[Name, ...] = ()
    lm_eval: str | None = None
    scoring: Scoring
    metrics: Annotated[tuple[str, ...], Field(min_length=1)]
    resample: Template | None = None
    generation: Generation | None = None
    positive: str | None = None
    extract: str | None = None
    code: tuple[CodeFile, ...] = ()
    verdicts: tuple[VerdictFile, ...] = ()
    items: Count | None = None
    truncate: Literal["left", "middle"] = "left"
    margin: Margin | None = None
    version: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, values: Any) -> Any:
        """Of a harness's task only its name and metrics need be said; a program has more lines than one."""
        if isinstance(values, dict) and values.get("scoring") == "execution":
            generation = values.get("generation")
            if isinstance(generation, dict) and "stop" not in generation:
                return {**values, "generation": {**generation, "stop": ()}}
        if not isinstance(values, dict) or not values.get("lm_eval"):
            return values
        metrics = values.get("metrics") or ["acc"]
        named = [f"{HARNESS}{str(name).removeprefix(HARNESS)}" for name in metrics]
        return {"scoring": "lm-eval", **values, "metrics": named}

    @model_validator(mode="after")
    def _check(self) -> Task:
        needs, bars = self.scoring in ("generation", "execution"), self.scoring == "text"
        if (needs and self.generation is None) or (bars and self.generation is not None):
            raise ValueError(f"scoring by {self.scoring} and `generation` settings do not go together")
        if (self.lm_eval is not None) != (self.scoring == "lm-eval"):
            raise ValueError("`lm_eval` and `scoring: lm-eval` go together")
        if self.lm_eval is not None:
            if self.source or self.generation or self.panel != "main":
                raise ValueError("a task of lm-evaluation-harness has no `source`, `generation` or `panel` of its own")
        elif not self.source:
            raise ValueError("a task needs a `source`, or `lm_eval`")
        elif self.panel != "text" and len(self.source) != 1:
            raise ValueError("only a text task may have several sources")
        if fault := fault_of(self.metrics, self.scoring, self.generation is not None):
            raise ValueError(fault)
        own = [match for name in self.metrics if (match := OWN.fullmatch(name))]
        if {file.name for file in self.verdicts} != {one["function"] for one in own if one["module"] == VERDICTS}:
            raise ValueError("`verdicts` is filled in from the metrics; leave it out, and load the study from its file")
        named = {match["module"] for match in own} - {VERDICTS}
        if lacking := sorted(named - {file.module for file in self.code}):
            raise ValueError(f"the code of {lacking[0]}.py is not in the study; load the study from its file")
        if {file.module for file in self.code} - named:
            raise ValueError("`code` is filled in from the metrics; leave it out")
        if self.scoring == "execution" and self.generation is not None and "\n" in self.generation.stop:
            raise ValueError("the stop '\\n' ends a program after its first line; name others, or leave `stop` out")
        if self.positive is not None and "f1" not in self.metrics:
            raise ValueError("`positive` chooses the class of the metric f1, but `metrics` has no f1")
        if self.extract is not None:
            if self.scoring != "generation":
                raise ValueError("`extract` reads generated answers, so it goes with scoring: generation")
            check_pattern(self.extract)
        return self

    @property
    def headline(self) -> str:
        """The metric that the task is compared by."""
        return self.metrics[0]

    @property
    def code_identity(self) -> dict[str, dict[str, str]]:
        """{"code": {module: digest}, "verdicts": {name: digest}}; a task without has neither key."""
        code = {"code": {file.module: file.digest for file in self.code}} if self.code else {}
        return code | ({"verdicts": {file.name: file.digest for file in self.verdicts}} if self.verdicts else {})


class Evaluation(Frozen):
    """The extent of evaluation: `items` a task (None: all), prompts cut to `context` tokens, shots for baselines.

    `generate` caps the new tokens of every task.
    """

    items: Count | None = None
    generate: Count | None = None
    context: Annotated[int, Field(ge=32, le=10**7)] = 2048
    baseline_shots: tuple[Annotated[int, Field(ge=0, le=64)], ...] = (0,)
