"""The pieces of studies that pages show, and a frame that completes each to a whole study."""

from __future__ import annotations

import re
import textwrap

from tests.support.checkout import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PARTS = (
    *("sources", "tasks", "experiments", "questions", "base", "batch", "schedule", "evaluation", "adapter"),
    *("tracks", "gate"),
)
FRAME = {
    "study": "snippet",
    "base": {"id": "regimen/tiny-qwen2", "origin": "packaged", "precision": "fp32"},
    "batch": {"sequences": 4, "block": 64},
    "schedule": {"learning_rate": {"pretrain": 5.0e-3, "finetune": 1.0e-2}, "warmup_steps": 1},
    "evaluation": {"context": 256},
    "sources": {
        "tickets": {
            "files": ["tickets.csv"],
            "form": {"prompt": "{{ body }}", "label": {"column": "urgent", "names": ["no", "yes"]}},
            "held_out": {"share": 0.2},
        },
        "faq": {"files": ["faq.jsonl"], "form": {"prompt": "{{ question }}", "answer": "{{ reply }}"}},
    },
    "tasks": {
        "urgent": {"title": "U", "group": "g", "source": ["tickets"], "scoring": "choice", "metrics": ["accuracy"]}
    },
    "experiments": [{"phase": "direct", "title": "Direct", "steps": 4, "finetune": {"d": "tickets"}}],
}


def snippets(text: str) -> list[str]:
    """The pieces of YAML of a page: fenced as such without a title, or indented and begun by a key of a study.

    Several lines of one key in one piece are choices, each a piece of its own.
    """
    fenced = re.findall(r"^```ya?ml\n(.*?)^```", text, re.M | re.S)
    indented = [textwrap.dedent(block) for block in re.findall(r"(?:^(?: {4}.*)?\n)+", text, re.M)]
    pieces = [piece for piece in (*fenced, *indented) if re.match(rf"\s*(?:{'|'.join(PARTS)}):", piece)]
    found = []
    for piece in pieces:
        lines = [line for line in piece.strip().splitlines() if line]
        alike = len(lines) > 1 and len({line.split(":")[0] for line in lines}) == 1
        found += lines if alike else [piece]
    return found


FOUND = [(page.name, piece) for page in PAGES for piece in snippets(page.read_text(encoding="utf-8"))]


def complete(part: dict[str, object]) -> dict[str, object]:
    """The piece in the frame; sources and tasks of the frame stay beside the piece's own."""
    whole: dict[str, object] = {**FRAME, **part}
    for key in ("sources", "tasks"):
        frame, own = FRAME[key], part.get(key) or {}
        assert isinstance(frame, dict)
        assert isinstance(own, dict)
        whole[key] = {**frame, **own}
    return whole
