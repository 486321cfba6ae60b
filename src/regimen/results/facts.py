"""The facts in a stage's outcome: one frozen type for each kind of stage, parsed once when an outcome is read.

Owns the fields and their JSON. Fields that came later have defaults, so that outcomes of earlier versions are read;
fields that nobody reads any more are passed over. Does not know how a stage comes by its facts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, FiniteFloat

Metrics = dict[str, float]


class _Recorded(BaseModel):
    """A frozen value with one way to JSON: the fields that were set, as they were set."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return self.model_dump(mode="json", exclude_unset=True)


class Machine(_Recorded):
    """The machine of a stage. `cohort` is the number of stages that shared the work.

    `gpu` is the CUDA_VISIBLE_DEVICES of its process.

    It is never part of a result's identity.
    """

    pid: int | None = None
    device: str | None = None
    device_name: str | None = None
    gpu: str | None = None
    threads: int | None = None
    versions: dict[str, str] = {}
    commit: str | None = None
    cohort: int = 1


class TestsLookedFor(_Recorded):
    """The test items that were looked for in training rows: the items stages, and how many texts they hold."""

    __test__ = False

    stages: tuple[str, ...] = ()
    texts: int = 0


class PreparedFacts(_Recorded):
    """A source in one form as token blocks.

    `folder` names its blocks in the cache, `digest` (16 hex digits) their content, `block_files` the SHA-256 of their
    files. `rows` counts the rows that were
    read, `drops` those that were not used, by reason; `documents` and `bytes` what is left of them as text; `blocks`
    the blocks of `block` tokens, `tokens` and `loss_tokens` the tokens in them; `cut_*` what was too long;
    `special_as_text` the texts that hold a special token's text, which is read as text; `read_apart` the pairs of
    prompt and answer that one token would have reached across, so that each was tokenised by itself. `leaks` is how
    test items were looked for (`Source.leaks`; None: not recorded), `stand_in` the mirror's note on rows that are not
    the source's own, `guesses` what was guessed about the layout of files.
    """

    folder: str
    source: str = ""
    form: str = ""
    blocks: int = 0
    block: int = 0
    dtype: str = ""
    tokens: int = 0
    loss_tokens: int = 0
    documents: int = 0
    bytes: int = 0
    cut_examples: int = 0
    cut_prompt_tokens: int = 0
    cut_answer_tokens: int = 0
    special_as_text: int = 0
    read_apart: int = 0
    rows: int = 0
    drops: dict[str, int] = {}
    digest: str = ""
    block_files: dict[str, str] = {}
    tests: TestsLookedFor = TestsLookedFor()
    leaks: str | None = None
    stand_in: str | None = None
    guesses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Floors:
    """Metrics of always saying the most frequent class, of guessing, and of TF-IDF with logistic regression.

    Each is empty where it does not apply (open answers have no majority) or could not be had (`note` says why).
    """

    majority: Metrics
    chance: Metrics
    tfidf: Metrics
    tfidf_rows: int = 0
    note: str = ""

    def floor(self, metric: str) -> float:
        """The score that takes no skill: the better of majority and chance, 0 where neither is defined."""
        return max(self.majority.get(metric, 0.0), self.chance.get(metric, 0.0))


class ItemsFacts(_Recorded):
    """The test items of a task.

    `rows` counts the rows that were read, `drops` those that gave no item, by reason; `twins` the items whose text
    stands on the training side of their own source. `not_looked_for` says why a test set that was only to be kept out
    of training is empty. `floors` are given for closed tasks without solved examples. `guesses` as of PreparedFacts.
    """

    task: str
    sources: tuple[str, ...] = ()
    items: int = 0
    twins: int = 0
    rows: int = 0
    drops: dict[str, int] = {}
    not_looked_for: str | None = None
    stand_in: str | None = None
    floors: Floors | None = None
    guesses: tuple[str, ...] = ()


class AdapterFacts(_Recorded):
    """A given adapter: where it was found, and the SHA-256 of its weights as they came."""

    adapter: str
    revision: str
    digest: str


class ValidationPoint(_Recorded):
    """A training on validation rows after `step` steps of its leg.

    `loss` is in nats a token, the sources by the mixture's weights; `losses` has each source's. `scores` has the
    headline metric of each task. None is a value that is not finite.
    """

    step: int
    loss: FiniteFloat | None
    losses: dict[str, FiniteFloat | None] = {}
    scores: dict[str, FiniteFloat | None] = {}


class KeptStep(_Recorded):
    """The step (of the leg) whose weights were kept, and what it was chosen by on validation rows (less is better)."""

    step: int
    value: FiniteFloat | None


class TrainedFacts(_Recorded):
    """A stretch of training: its steps (the first and one past the last, counted in the leg), tokens and losses.

    Losses are nats a token: `first_loss` of the first step, `last_loss` the mean of the last tenth. `epochs` says for
    each source how often its blocks were gone through by `last_step`, `read` the digest of these blocks. `reach` is the
    share of the decoder's weights, embeddings apart, that the adapter sits on (None: not recorded). `validation` has
    the points of this stretch, `kept` the step whose weights are the result, where the best is kept (None: the last).
    `learning_rate` is the peak that a choice decided (None: that of the plan). `diverged` says why a candidate of a
    choice ended early; it then left no weights.
    """

    steps: int = 0
    first_step: int = 0
    last_step: int = 0
    tokens: int = 0
    loss_tokens: int = 0
    first_loss: FiniteFloat | None = None
    last_loss: FiniteFloat | None = None
    epochs: dict[str, FiniteFloat] = {}
    read: dict[str, str] = {}
    reach: FiniteFloat | None = None
    validation: tuple[ValidationPoint, ...] = ()
    kept: KeptStep | None = None
    learning_rate: FiniteFloat | None = None
    diverged: str | None = None


class ComparedFacts(_Recorded):
    """A candidate of a choice: its rate, and what its training found on validation rows after `steps` steps.

    `value` is what the choice is made by (less is better; None: it diverged, or its value is not finite), `loss` (nats
    a token) and `scores` what it was computed of.
    """

    learning_rate: FiniteFloat
    steps: int
    value: FiniteFloat | None
    loss: FiniteFloat | None = None
    scores: dict[str, FiniteFloat | None] = {}
    diverged: str | None = None


class ChosenFacts(_Recorded):
    """A choice: its candidates, the best first, and how many of them stay. `by` says what `value` is.

    `first` is the step of the states that it hands on, 0 where it hands on none.
    """

    candidates: tuple[ComparedFacts, ...]
    stay: int
    by: str = "loss"
    first: int = 0


class EvaluatedFacts(_Recorded):
    """One model on one task: metrics (None where not defined), or why it was `skipped`.

    `trained` is the train stage (None: the base), `items` the number of items scored, `truncated` of prompts that were
    cut, `failed` of answers that could not be read, `unwrapped` of programs that were taken out of Markdown fences,
    `mean_shots` the solved examples that a prompt held on average. `without_value` says of each of the study's own
    metrics on how many items it raised or gave no finite number; such a metric has no value. `answers_from` is the
    stage whose saved answers were read again, None where they were generated.
    """

    task: str
    trained: str | None = None
    shots: int = 0
    skipped: str | None = None
    metrics: dict[str, FiniteFloat | None] = {}
    metrics_without_twins: dict[str, FiniteFloat | None] = {}
    headline: str = ""
    items: int = 0
    twins: int = 0
    truncated: int = 0
    failed: int = 0
    unwrapped: int = 0
    mean_shots: FiniteFloat = 0.0
    without_value: dict[str, str] = {}
    answers_from: str | None = None

    @property
    def defined(self) -> Metrics:
        """The metrics that have a value."""
        return {name: value for name, value in self.metrics.items() if value is not None}


Facts = PreparedFacts | ItemsFacts | AdapterFacts | TrainedFacts | ChosenFacts | EvaluatedFacts
F = TypeVar("F", PreparedFacts, ItemsFacts, AdapterFacts, TrainedFacts, ChosenFacts, EvaluatedFacts)
_KINDS: dict[str, type[Facts]] = {
    "prepare": PreparedFacts,
    "items": ItemsFacts,
    "adapter": AdapterFacts,
    "train": TrainedFacts,
    "choose": ChosenFacts,
    "evaluate": EvaluatedFacts,
}


def parse_facts(kind: str, value: Any) -> Facts:
    """The facts of a stage of this kind from JSON; raises ValueError where they are not such facts."""
    if kind not in _KINDS:
        raise ValueError(f"{kind!r} is not a kind of stage")
    return _KINDS[kind].model_validate(value)
