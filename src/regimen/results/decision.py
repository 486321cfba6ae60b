"""The gate's decision as it stands: what the rule computed, and a person's override of it.

Owns OUT/gate.json. An override holds as long as the rule says what it was made against; once the rule decides
otherwise, it is gone. Does not know the rule.
"""

from __future__ import annotations

import getpass
import json
import time
from typing import Any

from regimen.errors import UsageError
from regimen.files import write_json
from regimen.results import layout
from regimen.results.run_folder import RunFolder

DECISIONS = ("promising", "not promising")


def record_decision(
    folder: RunFolder, computed: dict[str, Any], override: str | None = None, reason: str | None = None
) -> dict[str, Any]:
    """Records the decision in force and returns it: `computed` with "decision", "computed" and "override".

    Raises UsageError for an override without a reason, or to nothing that can be decided.
    """
    if override is not None and override not in DECISIONS:
        raise UsageError(f"--override is {override!r}; it must be one of {', '.join(DECISIONS)}")
    if (override is None) != (reason is None or not reason.strip()):
        raise UsageError("an override needs both --override and --reason; the reason is recorded")
    if override is not None:
        given = {"decision": override, "against": computed["decision"], "reason": reason, **_who_and_when()}
    else:
        given = _standing(folder, computed["decision"])
    decided = {
        **computed,
        "decision": given["decision"] if given else computed["decision"],
        "computed": computed["decision"],
        "override": given,
    }
    if given and given["decision"] == "promising":
        decided["next"] = "Run the full track; what is done is reused."
    write_json(folder.path / layout.DECISION, decided)
    return decided


def _standing(folder: RunFolder, computed: str) -> dict[str, Any] | None:
    try:
        before = json.loads((folder.path / layout.DECISION).read_text(encoding="utf-8"))["override"]
    except (OSError, ValueError, KeyError):
        return None
    return before if before and before.get("against") == computed else None


def _who_and_when() -> dict[str, str]:
    try:
        who = getpass.getuser()
    except (OSError, KeyError):  # an account without a name
        who = "unknown"
    return {"by": who, "when": time.strftime("%Y-%m-%d %H:%M:%S %z")}
