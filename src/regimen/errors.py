"""The errors that regimen raises deliberately; every other exception is a defect.

    RegimenError                a mistake of the user, or something that this machine lacks; has an exit code
    ├── StudyError              all faults of a study file, each with its line
    ├── UsageError              an unknown experiment, task, track, profile or option value
    ├── DataError               a source that cannot be read, or rows that cannot be used
    │   └── SourceMissing       a source that is not in its place
    ├── ModelError              a base model or an adapter that cannot be loaded
    ├── RunFolderError          a run folder that is locked, damaged, or belongs to another study
    ├── MachineError            this machine lacks memory, disk, a device or a sandbox
    │   └── OutOfMemory         work that does not fit into memory; smaller portions may
    ├── TrainingError           a training stage that cannot go on (a loss that is not finite)
    └── Interrupted             a request to stop; the state on disk is safe

Each message is one sentence: the value, the limit, the remedy. This module knows no other module.
"""

from __future__ import annotations

from collections.abc import Sequence


class RegimenError(Exception):
    """Base of all deliberate errors; `exit_code` is what the command returns (2: bad input)."""

    exit_code = 2


class StudyError(RegimenError):
    """A study file with faults.

    `faults` lists all of them, each as "place: fault and remedy".
    """

    def __init__(self, origin: str, faults: Sequence[str]):
        self.origin = origin
        self.faults = tuple(faults)
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        super().__init__(f"{origin}: {count}\n" + "\n".join(f"  {fault}" for fault in self.faults))

    def __reduce__(self):
        return type(self), (self.origin, self.faults)


class UsageError(RegimenError):
    """An argument that names nothing known or is out of its range."""


class DataError(RegimenError):
    """Rows that cannot be read or used: names file, row, column and value."""


class SourceMissing(DataError):
    """A data source that is not in its place."""


class ModelError(RegimenError):
    """A base model or adapter that cannot be found or loaded."""


class RunFolderError(RegimenError):
    """A run folder that is locked, damaged, or belongs to another study."""


class MachineError(RegimenError):
    """This machine lacks memory, disk space, a device or an isolating sandbox."""


class OutOfMemory(MachineError):
    """Work that does not fit into the memory of its device; fewer stages at once may."""


class TrainingError(RegimenError):
    """A training stage that cannot go on; the stage fails, the others go on."""

    exit_code = 1


class Interrupted(RegimenError):
    """A request to stop; the state on disk is safe, and the same command resumes."""

    exit_code = 130
