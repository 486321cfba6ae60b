"""The fault of one row, by column and value.

Owns the error that everything which reads rows raises. Does not know files: who reads them adds file and row.
"""

from __future__ import annotations


class RowFault(ValueError):
    """A row that a form cannot render: `column` ("" for the template itself), `value` and `why`.

    `drop` names the stated rule by which such a row is dropped and counted; without one the row is an error, since
    it says that the form does not fit the data.
    """

    def __init__(self, column: str, value: object, why: str, *, drop: str | None = None):
        self.column = column
        self.value = value
        self.why = why
        self.drop = drop
        place = f"column {column!r}: " if column else ""
        super().__init__(f"{place}{str(value)[:80]!r} {why}")
