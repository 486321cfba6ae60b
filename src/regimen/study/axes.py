"""Axes: the settings of a group of experiments that vary, crossed with each other or zipped.

Owns the names of axes, their values' short forms in ids, and the putting of a value into an experiment. An axis is
`learning_rate`, `rows`, `steps`, `epochs`, `seed`, `base`, or any setting of adapter, batch and schedule
(`adapter.rank`, `batch.sequences`, `schedule.warmup_steps`). Does not know files or groups.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import product
from math import prod
from typing import Any

from pydantic import TypeAdapter, ValidationError, model_validator

from regimen.study.crossed import Cell
from regimen.study.recipes import MARK
from regimen.study.schema import Adapter, Base, Batch, Experiment, Schedule
from regimen.study.values import Count, Frozen, Passes

ZIP = "zip"
SEED = "seed"
_OWN = ("learning_rate", "rows", "steps", "epochs", SEED, "base")
_PARTS: Mapping[str, type[Adapter | Batch | Schedule]] = {"adapter": Adapter, "batch": Batch, "schedule": Schedule}
_ABBREVIATED = {"learning_rate": "lr", "adapter.rank": "r"}
_ELSEWHERE = {"schedule.learning_rate"}  # `learning_rate` is the axis
ALL = "all"

Scalar = bool | int | float | str


def axis_names() -> list[str]:
    """All axes."""
    settings = [f"{part}.{field}" for part, model in _PARTS.items() for field in model.model_fields]
    return [*_OWN, *(name for name in settings if name not in _ELSEWHERE)]


class AxisFault(ValueError):
    """A value that an axis cannot take; `axis` names it, so that the fault is shown on its line."""

    def __init__(self, axis: str, why: str):
        super().__init__(why)
        self.axis = axis


class Vary(Frozen):
    """Axes with their values. The axes of one block go together, value by value; blocks are crossed.

    Written as {axis: values, ..., zip: {axis: values, ...}}: each axis by itself is a block, and each mapping of `zip`.
    """

    blocks: tuple[dict[str, tuple[Any, ...]], ...]

    @model_validator(mode="before")
    @classmethod
    def _blocks(cls, written: Any) -> Any:
        if not isinstance(written, dict) or "blocks" in written:
            return written
        zipped = written.get(ZIP) or ()
        blocks = [{axis: values} for axis, values in written.items() if axis != ZIP]
        blocks += [dict(block) for block in (zipped if isinstance(zipped, list | tuple) else [zipped])]
        for block in blocks:
            for axis, values in block.items():
                _check_axis(axis, values)
        return {"blocks": blocks}

    @model_validator(mode="after")
    def _check(self) -> Vary:
        if not self.blocks:
            raise ValueError("`vary` needs at least one axis, as in {learning_rate: [1.0e-4, 3.0e-4]}")
        names = [axis for block in self.blocks for axis in block]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"the axis {twice!r} appears twice")
        for block in self.blocks:
            if SEED in block and len(block) > 1:
                raise ValueError("`seed` cannot be zipped: runs of one recipe differ in the seed alone")
            if len({len(values) for values in block.values()}) > 1:
                counts = ", ".join(f"{axis} has {len(values)}" for axis, values in block.items())
                raise ValueError(f"zipped axes need equally many values: {counts}")
        return self

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes' names, those of `zip` last."""
        return tuple(axis for block in self.blocks for axis in block)

    @property
    def seeds(self) -> tuple[Any, ...] | None:
        """The values of the axis `seed`, which are runs of one recipe; None where it has no such axis."""
        return next((block[SEED] for block in self.blocks if SEED in block), None)

    @property
    def _recipes(self) -> list[dict[str, tuple[Any, ...]]]:
        return [block for block in self.blocks if SEED not in block]

    @property
    def count(self) -> int:
        """The number of combinations, seeds apart."""
        return prod(len(next(iter(block.values()))) for block in self._recipes)

    def combinations(self) -> Iterator[dict[str, object]]:
        """{axis: value} for each combination, seeds apart; the last axis changes first."""
        rows = [
            [dict(zip(block, values, strict=True)) for values in zip(*block.values(), strict=True)]
            for block in self._recipes
        ]
        for combination in product(*rows):
            yield {axis: value for row in combination for axis, value in row.items()}


def _check_axis(axis: object, values: object) -> None:
    names = axis_names()
    if axis in _ELSEWHERE:
        raise ValueError(f"the axis of {axis!r} is called 'learning_rate'")
    if axis not in names:
        near = get_close_matches(str(axis), names, n=3) or names
        raise ValueError(f"no axis {axis!r}; there is {', '.join(near)}")
    if not isinstance(values, list | tuple) or not values:
        raise ValueError(f"the axis {axis!r} needs a list of values, not {values!r}")


@dataclass(frozen=True)
class Parts:
    """The study's own settings, which an experiment's begin from."""

    base: Base
    adapter: Adapter
    batch: Batch
    schedule: Schedule


@dataclass(frozen=True)
class Scaled:
    """The counts of a profile for counts as they are written."""

    steps: Callable[[int], int]
    rows: Callable[[int], int]


@dataclass(frozen=True)
class Setting:
    """A value of an axis as it is used, the fields of an experiment that it decides, and its form in ids."""

    axis: str
    value: Scalar
    fields: Mapping[str, object]
    label: str

    @property
    def words(self) -> str:
        """For titles: "rank 16", "learning rate 3e-4", "100 rows"."""
        if self.axis == "base":
            return str(self.value)
        name = self.axis.rpartition(".")[2].replace("_", " ")
        text = shown(self.axis, self.value)
        return f"{text} {name}" if self.axis in ("rows", "steps", "epochs") else f"{name} {text}"


def put_in(experiment: Experiment, combination: Mapping[str, object], parts: Parts, scaled: Scaled) -> list[Setting]:
    """The settings of one combination for an experiment, in order; raises AxisFault for a value that cannot be."""
    settings: list[Setting] = []
    fields: dict[str, object] = {}
    for axis, value in combination.items():
        try:
            used, changed = _put(axis, value, experiment, fields, parts, scaled)
        except ValidationError as fault:
            message = str(fault.errors()[0]["msg"]).removeprefix("Value error, ")
            raise AxisFault(axis, f"{message[0].lower()}{message[1:]} (not {value!r})") from None
        fields |= changed
        # ids keep the planned rows, whatever the profile
        written = int(str(value)) if axis == "rows" and value != ALL else used
        settings.append(Setting(axis, used, changed, _label(axis, written)))
    return settings


def _put(
    axis: str,
    value: Any,
    experiment: Experiment,
    before: Mapping[str, object],
    parts: Parts,
    scaled: Scaled,
) -> tuple[Scalar, dict[str, object]]:
    """(the value as it is used, the experiment's fields that it decides); `before` holds those of other axes."""
    part, _, field = axis.partition(".")
    if field:
        old: Adapter | Batch | Schedule = before.get(part) or getattr(experiment, part) or getattr(parts, part)  # type: ignore[assignment]
        new = type(old).model_validate(dict(old) | {field: value})
        return _scalar(getattr(new, field)), {part: new}
    if axis == "base":
        base = Base.model_validate(value)
        return base_label(base), {"base": base}
    if axis == "rows":
        if value == ALL:
            return ALL, {"rows": None}
        rows = scaled.rows(TypeAdapter(Count).validate_python(value))
        return rows, {"rows": rows}
    if axis in ("steps", "epochs"):
        return _length(axis, value, experiment, scaled.steps)
    rate = Experiment.model_validate(dict(experiment) | {axis: value}).learning_rate
    assert rate is not None
    usual = {getattr(parts.schedule.learning_rate, leg.kind) for leg in experiment.legs}
    return rate, {"learning_rate": None if usual == {rate} else rate}


def _length(
    axis: str, value: Any, experiment: Experiment, scaled: Callable[[int], int]
) -> tuple[Scalar, dict[str, object]]:
    if len(experiment.legs) != 1:
        raise AxisFault(axis, f"{experiment.id!r} has {len(experiment.legs)} legs; {axis} vary where there is one")
    (leg,) = experiment.legs
    if axis == "epochs":
        epochs = TypeAdapter(Passes).validate_python(value)
        return epochs, {"legs": (leg.model_copy(update={"epochs": epochs, "steps": 0}),)}
    steps = TypeAdapter(Count).validate_python(value)
    return steps, {"legs": (leg.model_copy(update={"steps": scaled(steps), "epochs": None}),)}


def varied(experiment: Experiment, settings: list[Setting], parts: Parts) -> Experiment:
    """The experiment with these settings; its id and title say them. Raises AxisFault where the id is too long."""
    if not settings:
        return experiment
    fields: dict[str, object] = {name: value for setting in settings for name, value in setting.fields.items()}
    fields |= {name: None for name in ("base", *_PARTS) if fields.get(name) == getattr(parts, name)}
    fields["id"] = experiment.id + suffix(settings)
    fields["title"] = f"{experiment.title} ({', '.join(setting.words for setting in settings)})"
    fields["varied"] = {**experiment.varied, **{setting.axis: setting.value for setting in settings}}
    if experiment.cell is not None:
        fields["cell"] = Cell(set=experiment.cell.set + suffix(settings), strategy=experiment.cell.strategy)
    try:
        return Experiment.model_validate(dict(experiment) | fields)
    except ValidationError as fault:
        why = str(fault.errors()[0]["msg"])
        raise AxisFault(settings[0].axis, f"{fields['id']!r} is no id: {why[0].lower()}{why[1:]}") from None


def suffix(settings: list[Setting]) -> str:
    """The settings as ids end: "~lr3e-4~r16"."""
    return "".join(MARK + setting.label for setting in settings)


def base_label(base: Base) -> str:
    """A base in ids: the last part of its name."""
    return _slug(base.id.rstrip("/").rpartition("/")[2])


def _scalar(value: object) -> Scalar:
    if isinstance(value, tuple):
        return "+".join(map(str, value))
    return value if isinstance(value, bool | int | float) else str(value)


def _label(axis: str, value: Scalar) -> str:
    if axis == "base":
        return str(value)
    name = _ABBREVIATED.get(axis, _slug(axis.rpartition(".")[2]))
    between = "-" if isinstance(value, bool | str) and value != ALL else ""
    return f"{name}{between}{_slug(shown(axis, value))}"


def shown(axis: str, value: Scalar) -> str:
    """3e-4 of a rate, 0.1, 16, "true"; two values never have one text, since floats are given in full."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, float):
        return str(value)
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    text = repr(value)
    if axis == "learning_rate" and "e" not in text:
        digits = text.replace(".", "").lstrip("0")
        power = len(text.split(".")[1]) if value < 1 else 0
        mantissa = digits if len(digits) == 1 else f"{digits[0]}.{digits[1:]}"
        text = f"{mantissa}e-{power - len(digits) + 1}"
    return re.sub(r"e([+-])0*(\d)", lambda match: f"e{match[1].strip('+')}{match[2]}", text)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.-]+", "-", text.lower()).strip("-.")
