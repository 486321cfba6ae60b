"""Outcomes of stages and their folders, the ledger, metrics, tidy tables."""

from regimen.results.facts import (
    AdapterFacts,
    ChosenFacts,
    ComparedFacts,
    EvaluatedFacts,
    Facts,
    Floors,
    ItemsFacts,
    KeptStep,
    Machine,
    PreparedFacts,
    TestsLookedFor,
    TrainedFacts,
    ValidationPoint,
)
from regimen.results.floors import floors_of
from regimen.results.ledger import Ledger, read_ledger
from regimen.results.metrics import aggregate
from regimen.results.outcomes import Outcome, Stopwatch, differences, facts_of
from regimen.results.references import Anchor, Reference, all_references, anchor_of, references_of
from regimen.results.run_folder import RunFolder
from regimen.results.stage_folder import StageFolder, read_outcome
from regimen.study.metrics import better_sign, is_known

__all__ = [
    "AdapterFacts",
    "Anchor",
    "ChosenFacts",
    "ComparedFacts",
    "EvaluatedFacts",
    "Facts",
    "Floors",
    "ItemsFacts",
    "KeptStep",
    "Ledger",
    "Machine",
    "Outcome",
    "PreparedFacts",
    "Reference",
    "RunFolder",
    "StageFolder",
    "Stopwatch",
    "TestsLookedFor",
    "TrainedFacts",
    "ValidationPoint",
    "aggregate",
    "all_references",
    "anchor_of",
    "better_sign",
    "differences",
    "facts_of",
    "floors_of",
    "is_known",
    "read_ledger",
    "read_outcome",
    "references_of",
]
