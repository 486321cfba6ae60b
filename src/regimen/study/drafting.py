"""The text of a first study, from guesses about files.

Owns the wording of the file that `regimen init` writes: what was guessed stands in comments beside it. Does not read
files and does not guess.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

CHARACTERS_A_TOKEN = 3  # of a small vocabulary; more of a large one
BLOCKS = (64, 128, 256, 512)
STEPS = 30
SOURCE_NAME = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class DraftSource:
    """One source of the study: its files, its form, the reasons for it, and lengths at the 95th percentile."""

    name: str
    files: tuple[str, ...]
    test_files: tuple[str, ...]
    form: Mapping[str, object]
    kind: Literal["text", "classes", "answers", "chat"]
    reasons: tuple[str, ...]
    rows: int
    row_characters: int
    answer_characters: int


def source_name(stem: str, taken: Sequence[str]) -> str:
    """A name for a source, from a file's name, that no other source has."""
    plain = SOURCE_NAME.sub("-", stem.lower()).strip("-")[:60] or "rows"
    name, number = plain, 2
    while name in taken:
        name, number = f"{plain}-{number}", number + 1
    return name


def draft(name: str, sources: Sequence[DraftSource], base: str, origin: str) -> str:
    """The study's YAML: baselines, a fine-tuning a source, all together, texts read first, questions."""
    block = _block(sources)
    lines = [
        "# A first study, written by `regimen init`. Lines marked GUESS are guesses: look at them before you trust a",
        f"# number. `regimen data SOURCE --study {name}.yaml` shows rows as the model sees them.",
        f"study: {name}",
        f"title: {json.dumps(_title(sources), ensure_ascii=False)}",
        *_base(base, origin),
        f"batch: {{sequences: 8, block: {block}}}   # GUESS: from the length of your rows",
        "schedule: {learning_rate: {pretrain: 5.0e-3, finetune: 1.0e-2}, warmup_steps: 3}"
        if origin == "packaged"
        else "schedule: {learning_rate: {pretrain: 2.0e-4, finetune: 1.0e-3}, warmup_steps: 6}",
        f"evaluation: {{context: {4 * block}, items: 100}}",
        "",
        "sources:",
        *(line for source in sources for line in _source(source)),
        "",
        "tasks:",
        *(line for source in sources for line in _task(source)),
        "",
        "experiments:",
        *_experiments(sources),
        "",
        "# Compared by a test, since it is declared before anything has run. Add what you want to know.",
        "questions:",
        *_questions(sources),
    ]
    return "\n".join(lines) + "\n"


def _title(sources: Sequence[DraftSource]) -> str:
    return f"Which way of training works best on {', '.join(source.name for source in sources)}?"


def _base(base: str, origin: str) -> list[str]:
    named = json.dumps(base)
    if origin != "packaged":
        return [f"base: {{id: {named}, origin: {origin}}}"]
    return [
        "# The tiny base that comes with regimen shows that the study runs; its scores mean little. For real ones:",
        "# base: {id: Qwen/Qwen2-0.5B}",
        f"base: {{id: {named}, origin: packaged, precision: fp32}}",
    ]


def _block(sources: Sequence[DraftSource]) -> int:
    tokens = max(source.row_characters for source in sources) / CHARACTERS_A_TOKEN
    return next((block for block in BLOCKS if block >= tokens), BLOCKS[-1])


def _source(source: DraftSource) -> list[str]:
    held_out = (
        f"{{files: {json.dumps(list(source.test_files), ensure_ascii=False)}}}"
        if source.test_files
        else "{share: 0.2}   # GUESS: a fifth of the rows is tested on and never trained on"
    )
    return [
        f"  {source.name}:   # {source.rows:,} rows looked at",
        f"    files: {json.dumps(list(source.files), ensure_ascii=False)}",
        "    form:",
        *(f"      # GUESS: {reason}" for reason in source.reasons),
        *(f"      {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in source.form.items()),
        f"    held_out: {held_out}",
    ]


def _task(source: DraftSource) -> list[str]:
    about = f"title: {json.dumps(source.name.replace('-', ' ').capitalize())}, group: own, source: [{source.name}]"
    if source.kind == "text":
        return [f"  {source.name}: {{{about}, panel: text, scoring: text, metrics: [bits-per-byte]}}"]
    if source.kind == "classes":
        return [f"  {source.name}: {{{about}, scoring: choice, metrics: [accuracy, macro-f1]}}"]
    tokens = min(256, max(8, 2 * source.answer_characters // CHARACTERS_A_TOKEN))
    stop = ", stop: []" if source.kind == "chat" or source.answer_characters > 200 else ""
    return [
        f"  {source.name}: {{{about}, scoring: generation,",
        f"    metrics: [exact-match, rouge-l], generation: {{tokens: {tokens}{stop}}}}}   # GUESS: by your answers",
    ]


def _experiments(sources: Sequence[DraftSource]) -> list[str]:
    trained = [source for source in sources if source.kind != "text"]
    texts = [source for source in sources if source.kind == "text"]
    lines = ['  - {phase: zero-shot, title: "Zero-shot: {task}", baseline: every-task}']
    if trained:
        direct = ", ".join(f"direct-{source.name}: {source.name}" for source in trained)
        lines.append(
            f'  - {{phase: direct, title: "Fine-tuned on {{sources}}", steps: {STEPS}, finetune: {{{direct}}}}}'
        )
    if len(trained) > 1:
        mixture = " ".join(f"{source.name}:1" for source in trained)
        together = f'finetune: {{together: "{mixture}"}}'
        lines.append(f'  - {{phase: together, title: "Together: {{mixture}}", steps: {STEPS}, {together}}}')
    if texts:
        read = ", ".join(f"read-{source.name}: {source.name}" for source in texts)
        lines.append(f'  - {{phase: read, title: "Read {{sources}}", steps: {STEPS}, pretrain: {{{read}}}}}')
    if texts and trained:
        lines += [
            "  - phase: chain",
            '    title: "Read first: {stage}"',
            "    chain: read-first",
            "    stages:",
            f"      - {{id: read, pretrain: {texts[0].name}, steps: {STEPS}}}",
            f"      - {{id: tune, finetune: {trained[0].name}, steps: {STEPS}}}",
        ]
    return lines


def _questions(sources: Sequence[DraftSource]) -> list[str]:
    """A question for each kind of experiment that was drafted."""
    trained = [source.name for source in sources if source.kind != "text"]
    texts = [source.name for source in sources if source.kind == "text"]
    asked: list[tuple[str, str]] = []
    if trained:
        asked.append(("Does fine-tuning help?", _each("direct", trained)))
    if len(trained) > 1:
        together = "{id: together, of: together, against: single-source}"
        asked.append(("Is one model for all better than one for each?", together))
    if texts:
        asked.append(("Does reading the texts help to predict them?", _each("read", texts)))
    if texts and trained:
        pair = f"of: read-first-tune, against: direct-{trained[0]}, tasks: [{trained[0]}]"
        asked.append(("Does reading first help fine-tuning?", f"{{id: read-first, {pair}}}"))
    return [
        line
        for number, (question, contrast) in enumerate(asked, 1)
        for line in (f"  Q{number}:", f"    question: {question}", f"    contrasts: [{contrast}]")
    ]


def _each(kind: str, names: Sequence[str]) -> str:
    """One contrast for whatever trained on a source, of any length, against zero-shot on the source's own task."""
    ids = ", ".join(f'"{kind}-{name}*"' for name in names)
    return f"{{id: {kind}, each: [{ids}], against: zero-shot, tasks: [{', '.join(names)}], rows: own}}"
