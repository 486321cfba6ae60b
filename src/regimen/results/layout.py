"""The names of the files and folders of a run folder, of a stage's folder in it, and of the cache beside it.

Owns every such name, so that each is spelled once. The names inside PEFT's and transformers' own folders are theirs,
and those inside a folder of token blocks belong to `data.blocks`. Does not know what any file holds. Loads nothing.
"""

from __future__ import annotations

from pathlib import Path

# a run folder
STUDY = "study.yaml"
SETTINGS = "run.json"
LEDGER = "ledger.sqlite"
LOCK = ".lock"
DIGESTS = ".digests.json"
SET_ASIDE = "set-aside"
DECISION = "gate.json"
STAGES = "stages"
EXPERIMENTS = "experiments"
REPORT = "report"
EXTERNAL = "external"
LOGS = "logs"
SLURM = "slurm"
TRACKERS = "trackers"

# a stage's folder
MARKER = "DONE"
SPEC = "spec.json"
OUTCOME = "outcome.json"
LOG = "log.jsonl"
DROPS = "drops.jsonl"
ITEMS = "items.jsonl"
ITEM_ROWS = "items.parquet"
METRICS = "metrics.jsonl"
STATE = "state.safetensors"
CHOICE = "choice.json"
READ = "read.json"
ABOUT = frozenset({MARKER, SPEC, OUTCOME, LOG})  # what says something of a result and is none
CHECKPOINT = "checkpoint-"

# a report's folder
PAGE = "index.html"
TABLE = "results.csv"
TUNING = "tuning.csv"
FINDINGS = "findings.json"
SUMMARY = "report.md"


def hash_of(folder: str) -> str:
    """The fingerprint at the end of a stage folder's name, KIND-LABEL-HASH12."""
    return folder.rpartition("-")[2]


def state_at(place: int) -> str:
    """The state that a choice hands on to the training that takes the candidate at this place, from 1."""
    return f"state-{place}.safetensors"


def blocks_home(cache: Path) -> Path:
    """The folder of block folders in a cache; their names are those that outcomes record."""
    return cache / "blocks"
