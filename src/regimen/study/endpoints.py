"""End points: the models that a study scores and compares.

Owns the text form of an end point, which study files, results.csv and findings.json hold: "id", "id@2", "id:5-shot",
"zero-shot". Does not know which experiments there are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

ZERO_SHOT = "zero-shot"  # the base as it is; no experiment may have this id
_FORM = re.compile(r"(?P<experiment>[^@:\s]+)(?:@(?P<leg>[1-9]\d{0,3})|:(?P<shots>[1-9]\d{0,3})-shot)?")


@dataclass(frozen=True)
class EndPoint:
    """A model that is scored: an experiment's end, the end of one of its earlier legs, or the base.

    `leg` counts from 1 and is None for the experiment's own end, which is the end of its last leg. `shots` is the
    number of solved examples that a baseline puts before each item.
    """

    experiment: str
    leg: int | None = None
    shots: int = 0

    @classmethod
    def base(cls) -> EndPoint:
        """The base without training and without examples."""
        return cls(ZERO_SHOT)

    @classmethod
    def parse(cls, text: str) -> EndPoint:
        """The end point of its text form; raises ValueError for any other text."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise ValueError(
                f"{text!r} is not an end point; write an experiment's id, id@2 for its second leg, or {ZERO_SHOT}"
            )
        leg, shots = match["leg"], match["shots"]
        return cls(match["experiment"], int(leg) if leg else None, int(shots) if shots else 0)

    def __str__(self) -> str:
        return self.on(self.experiment)

    @property
    def is_base(self) -> bool:
        """True if this is the base without training and without examples."""
        return self == EndPoint.base()

    def on(self, task: str) -> str:
        """The key of this end point's score on a task, within its experiment: "task", "task@2", "task:5-shot"."""
        if self.leg is not None:
            return f"{task}@{self.leg}"
        return f"{task}:{self.shots}-shot" if self.shots else task

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """In study files and JSON an end point is its text form."""
        text = core_schema.no_info_after_validator_function(cls.parse, core_schema.str_schema())
        return core_schema.json_or_python_schema(
            json_schema=text,
            python_schema=core_schema.union_schema([core_schema.is_instance_schema(cls), text]),
            serialization=core_schema.to_string_ser_schema(when_used="always"),
        )
