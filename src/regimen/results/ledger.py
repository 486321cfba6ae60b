"""The ledger: what happened to each stage, in SQLite, with one writer.

Owns the record of states, workers and times that `status` reads. Markers on disk are the truth: the ledger can be
deleted and is rebuilt from them. Does not know scheduling.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Self, TypedDict, cast

from regimen.errors import MachineError
from regimen.files import why_unwritable
from regimen.results import layout
from regimen.results.outcomes import Outcome

_SCHEMA = """
CREATE TABLE IF NOT EXISTS stages (
    fingerprint TEXT PRIMARY KEY,
    label TEXT NOT NULL,
    kind TEXT NOT NULL,
    cohort TEXT,
    state TEXT NOT NULL,
    worker TEXT,
    started REAL,
    ended REAL,
    error TEXT
);
"""


class LedgerRow(TypedDict):
    """A stage as the ledger knows it; times in seconds since the epoch."""

    fingerprint: str
    label: str
    kind: str
    cohort: str | None
    state: str
    worker: str | None
    started: float | None
    ended: float | None
    error: str | None


class Ledger:
    """The writer's side, closed at the end of its `with`. The driver holds the only one of a run folder.

    Raises MachineError where the disk takes nothing more.
    """

    def __init__(self, out: Path):
        self._path = out / layout.LEDGER
        self._db = self._connect()

    def _connect(self) -> sqlite3.Connection:
        try:
            return _opened(self._path)
        except sqlite3.OperationalError as fault:
            raise _unwritable(self._path, fault) from None
        except sqlite3.DatabaseError:  # damaged: the markers know all that matters
            for path in (self._path, self._path.with_name(f"{layout.LEDGER}-journal")):
                if path.is_file():
                    path.rename(path.with_name(f"{path.name}.damaged-{int(time.time())}"))
            return _opened(self._path)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction; a full or read-only disk raises MachineError."""
        try:
            with self._db:
                yield self._db
        except sqlite3.OperationalError as fault:
            raise _unwritable(self._path, fault) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def enter(self, rows: Iterable[tuple[str, str, str, str | None]]) -> None:
        """Registers stages (fingerprint, label, kind, cohort) as pending; known ones keep their state."""
        with self._writing() as db:
            db.executemany(
                "INSERT INTO stages (fingerprint, label, kind, cohort, state) VALUES (?, ?, ?, ?, 'pending') "
                "ON CONFLICT (fingerprint) DO UPDATE SET cohort = excluded.cohort, "
                "state = CASE WHEN state = 'done' THEN 'done' ELSE 'pending' END",
                rows,
            )

    def started(self, stages: Iterable[str], worker: str) -> None:
        """Records that a worker has begun the stages."""
        now = time.time()
        with self._writing() as db:
            db.executemany(
                "UPDATE stages SET state = 'running', worker = ?, started = ?, error = NULL WHERE fingerprint = ?",
                [(worker, now, stage) for stage in stages],
            )

    def placed(self, stages: Iterable[str], worker: str) -> None:
        """Records the worker of stages that have begun already."""
        with self._writing() as db:
            db.executemany("UPDATE stages SET worker = ? WHERE fingerprint = ?", [(worker, s) for s in stages])

    def ended(self, outcome: Outcome) -> None:
        """Records that a stage is done."""
        with self._writing() as db:
            db.execute(
                "UPDATE stages SET state = 'done', started = ?, ended = ?, error = NULL WHERE fingerprint = ?",
                (outcome.started, outcome.ended, outcome.fingerprint),
            )

    def set_state(self, stages: Iterable[str], state: str, error: str | None = None) -> None:
        """Sets the state of stages ("pending", "failed", "blocked")."""
        with self._writing() as db:
            db.executemany(
                "UPDATE stages SET state = ?, error = ?, ended = ? WHERE fingerprint = ?",
                [(state, error, time.time() if state == "failed" else None, stage) for stage in stages],
            )


def _unwritable(path: Path, fault: sqlite3.Error) -> MachineError:
    why = why_unwritable(fault) or f"{fault}; the results on disk are safe; run the same command again to continue"
    return MachineError(f"the ledger {path} cannot be written: {why}")


def _opened(path: Path) -> sqlite3.Connection:
    # DELETE journal: run folders may lie on shared filesystems, where WAL is not safe
    db = sqlite3.connect(path, timeout=30)
    try:
        db.execute("PRAGMA journal_mode=DELETE")
        db.execute("PRAGMA synchronous=NORMAL")
        if db.execute("PRAGMA quick_check").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("damaged")
        db.executescript(_SCHEMA)
    except sqlite3.Error:
        db.close()
        raise
    return db


def read_ledger(out: Path) -> dict[str, LedgerRow]:
    """Fingerprint -> row, for readers; empty where there is no ledger or it cannot be read."""
    path = out / layout.LEDGER
    if not path.is_file():
        return {}
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as db:
            db.row_factory = sqlite3.Row
            return {row["fingerprint"]: cast(LedgerRow, dict(row)) for row in db.execute("SELECT * FROM stages")}
    except sqlite3.DatabaseError:
        return {}
