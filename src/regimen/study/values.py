"""The kinds of value that a study is made of: names, templates, weights, shares, seeds, and the base of all its parts.

Knows no part of a study.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from unicodedata import category

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag

from regimen.errors import UsageError
from regimen.study.patterns import check_pattern
from regimen.study.templates import check_template

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]*$", max_length=80)]
ExperimentId = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]*(~[a-z0-9][a-z0-9.-]*)*$", max_length=120)
]
Template = Annotated[str, AfterValidator(check_template)]
Pattern = Annotated[str, AfterValidator(check_pattern)]
Weight = Annotated[float, Field(ge=1e-9, le=1e9)]
Share = Annotated[float, Field(gt=0, lt=1)]
SEEDS = (0, 2**31 - 1)
Seed = Annotated[int, Field(ge=SEEDS[0], le=SEEDS[1])]
MAX_REPLICATES = 1000


def _different(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError("a seed appears twice; runs of one recipe differ in their seeds")
    return seeds


SEEDS_TAGS = frozenset({"number of seeds", "seeds"})
_Number = Annotated[int, Field(ge=1, le=MAX_REPLICATES), Tag("number of seeds")]
_Listed = Annotated[
    tuple[Seed, ...], Field(min_length=1, max_length=MAX_REPLICATES), AfterValidator(_different), Tag("seeds")
]
Seeds = Annotated[
    _Number | _Listed, Discriminator(lambda value: "seeds" if isinstance(value, list | tuple) else "number of seeds")
]


def _file_name(text: str) -> str:
    """Returns a path or the name of a data set; raises ValueError for one that no file can have."""
    if len(text) > 1000 or any(len(part.encode()) > 255 for part in text.split("/")):
        raise ValueError(f"a name of {len(text):,} characters; at most 1,000 are allowed, 255 bytes between slashes")
    if not text or any(category(mark) in ("Cc", "Cs") for mark in text):
        raise ValueError("the name of a file must not be empty or hold control characters")
    return text


FileName = Annotated[str, AfterValidator(_file_name)]
Passes = Annotated[float, Field(gt=0, le=1e6)]  # epochs
Count = Annotated[int, Field(ge=1, le=10**9)]


class Frozen(BaseModel):
    """A value that cannot change and has no field that is not declared; its numbers are finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)


def shares(mixture: Mapping[str, float]) -> dict[str, float]:
    """A mixture's weights as shares, which add up to 1: {"a": 70, "b": 30} as {"a": 0.7, "b": 0.3}."""
    total = sum(mixture.values())
    return {name: weight / total for name, weight in mixture.items()}


def check_seeds(seeds: object) -> None:
    """Raises UsageError unless these, given for the option `seeds`, are a number of seeds, a tuple of them, or None."""
    listed = isinstance(seeds, tuple)
    for seed in seeds if listed else ():
        check_whole("seeds", seed, *SEEDS)
    if seeds is not None and not listed:
        check_whole("seeds", seeds, 1, MAX_REPLICATES)
    if listed and not 0 < len(set(seeds)) == len(seeds):
        raise UsageError(f"--seeds is {seeds!r}; it must hold different seeds, at least one")


def check_whole(name: str, value: object, low: int, high: int | None = None) -> None:
    """Raises UsageError unless `value`, given for the option `name`, is a whole number from `low` to `high`."""
    whole = value if isinstance(value, int) and not isinstance(value, bool) else None
    if whole is not None and low <= whole and (high is None or whole <= high):
        return
    limits = f"at least {low:,}" if high is None else f"from {low:,} to {high:,}"
    kind = "a whole number, " if whole is None else ""
    raise UsageError(f"--{name.replace('_', '-')} is {value!r}; it must be {kind}{limits}")
