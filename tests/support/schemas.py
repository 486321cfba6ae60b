"""The documents of the contract as JSON schemas, held strictly: a missing or renamed field breaks scripts of others."""

from __future__ import annotations

from typing import Any


def _object(required: dict[str, Any], *, more: bool = True) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": required, "additionalProperties": more}


NUMBER: dict[str, Any] = {"type": "number", "minimum": 0}
COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
TEXTS: dict[str, Any] = {"type": "array", "items": TEXT}
NAME_OR_NONE: dict[str, Any] = {"type": ["string", "null"]}
FINGERPRINT: dict[str, Any] = {"type": "string", "pattern": "^[0-9a-f]{12}$"}

_LEG = _object(
    {
        "kind": {"enum": ["pretrain", "finetune"]},
        "mixture": {"type": "array", "minItems": 1, "items": _object({"source": TEXT, "weight": NUMBER}, more=False)},
        "steps": COUNT,
    }
)
PLAN = _object(
    {
        "study": TEXT,
        "profile": TEXT,
        "track": TEXT,
        "experiments": {
            "type": "array",
            "items": _object(
                {
                    "id": TEXT,
                    "phase": TEXT,
                    "title": TEXT,
                    "kind": {"enum": ["baseline", "pretrain", "finetune"]},
                    "steps": COUNT,
                    "start_from": NAME_OR_NONE,
                    "legs": {"type": "array", "items": _LEG},
                    "gpu_hours": NUMBER,
                    "fast_track": {"type": "boolean"},
                    "stages": {"type": "array", "items": FINGERPRINT},
                    "evaluations": TEXTS,
                }
            ),
        },
        "stages": {
            "type": "array",
            "items": _object(
                {
                    "fingerprint": FINGERPRINT,
                    "kind": {"enum": ["prepare", "items", "train", "evaluate"]},
                    "parent": NAME_OR_NONE,
                    "part": {"enum": ["trunk", "cooldown", None]},
                    "first_step": COUNT,
                    "last_step": COUNT,
                    "cohort": FINGERPRINT,
                }
            ),
        },
        "totals": _object(
            {
                "experiments": COUNT,
                "steps_planned": COUNT,
                "steps_to_run": COUNT,
                "gpu_hours_planned": NUMBER,
                "gpu_hours_to_run": NUMBER,
                "by_phase": {
                    "type": "object",
                    "additionalProperties": _object({"experiments": COUNT, "gpu_hours": NUMBER}, more=False),
                },
            }
        ),
        "gantt": {
            "type": "array",
            "items": _object({"label": TEXT, "phase": TEXT, "start_hour": NUMBER, "end_hour": NUMBER}),
        },
    }
)
_COUNTS = _object({"done": COUNT, "running": COUNT, "failed": COUNT, "pending": COUNT}, more=False)
STATUS = _object(
    {
        "experiments": _COUNTS,
        "stages": _COUNTS,
        "gpu_hours": _object({"spent": NUMBER, "planned": NUMBER, "left": NUMBER}),
        "failures": {"type": "array", "items": _object({"experiment": TEXT, "error": {"type": "string"}, "log": TEXT})},
        "rate": {"type": "object"},
        "next": TEXT,
    }
)
GATE = _object(
    {
        "decision": {"enum": ["promising", "not promising", "not yet"]},
        "rule": TEXT,
        "evidence": {"type": "array"},
        "next": TEXT,
    }
)
EXPERIMENT = _object(
    {
        "id": TEXT,
        "state": {"enum": ["done", "running", "failed", "pending"]},
        "stages": TEXTS,
        "adapter": NAME_OR_NONE,
        "scores": {"type": "object"},
    }
)
OUTCOME = _object(
    {
        "fingerprint": FINGERPRINT,
        "kind": {"enum": ["prepare", "items", "train", "evaluate"]},
        "label": TEXT,
        "status": {"enum": ["done", "skipped"]},
        "started": NUMBER,
        "ended": NUMBER,
        "where": {"type": "object"},
        "facts": {"type": "object"},
    }
)
