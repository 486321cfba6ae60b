"""The kinds of value that a study is made of: names, templates, shares, and what all its parts are.

Knows no part of a study.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from regimen.study.templates import check_template

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]*$", max_length=80)]
Template = Annotated[str, AfterValidator(check_template)]
Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, lt=1)]


class Frozen(BaseModel):
    """A value that cannot change and has no field that is not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)
