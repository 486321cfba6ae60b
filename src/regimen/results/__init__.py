"""What is known: outcomes and their folders, the ledger, metrics, tidy tables."""

from regimen.results.ledger import Ledger, read_ledger
from regimen.results.metrics import aggregate, better_sign, is_known
from regimen.results.outcomes import Outcome, StageFolder, differences, read_outcome
from regimen.results.run_folder import RunFolder

__all__ = [
    "Ledger",
    "Outcome",
    "RunFolder",
    "StageFolder",
    "aggregate",
    "better_sign",
    "differences",
    "is_known",
    "read_ledger",
    "read_outcome",
]
