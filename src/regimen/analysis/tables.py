"""The public table of results, as a data frame.

Owns the joining of tidy rows with statistics. Does not know figures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from regimen.plan import Plan
from regimen.results import RunFolder
from regimen.results.tables import COLUMNS, RunTables

if TYPE_CHECKING:
    import pandas as pd


def results_table(folder: RunFolder, plan: Plan) -> pd.DataFrame:
    """The columns of results.csv."""
    import pandas as pd

    return pd.DataFrame(RunTables(folder, plan).rows(), columns=list(COLUMNS))
