"""The answers: each question's verdict with the contrasts that it rests on.

Owns the rule that no verdict is shown without an interval, a number of items and a test. Does not know how verdicts
are reached.
"""

from __future__ import annotations

from typing import Any

from regimen.report.charts import Axis, Mark, Rows
from regimen.report.run_reading import Reading
from regimen.report.words import (
    NOT_YET,
    anchor,
    count,
    evidence_size,
    hours,
    interval,
    known,
    number,
    probability,
    signed,
    span,
    stem,
)

WITHOUT_EVIDENCE = (NOT_YET, "not identifiable")
ALPHA = 0.05


def answers(reading: Reading) -> list[dict[str, Any]]:
    """The questions as the page shows them."""
    return [_answer(reading, question) for question in reading.found_list("questions")]


def _answer(reading: Reading, question: dict[str, Any]) -> dict[str, Any]:
    contrasts = [_contrast(reading, entry) for entry in question.get("contrasts") or []]
    verdict, summary = supported(question, reading.found_list("taxonomy"))
    return {
        "id": str(question.get("id", "")),
        "question": str(question.get("question", "")),
        "verdict": verdict,
        "summary": summary,
        "contrasts": contrasts,
        "tested": sum(entry["tested"] for entry in contrasts),
        "thresholds": [_threshold(reading, entry) for entry in question.get("tasks") or [] if isinstance(entry, dict)],
        "chart": _chart(question, contrasts),
    }


def supported(question: dict[str, Any], strategies: list[dict[str, Any]]) -> tuple[str, str]:
    """(verdict, summary); "not yet" where nothing with an interval and n carries a verdict.

    A question answered by contrasts needs one with interval, n and test; one answered task by task needs a share with
    its interval; one answered by ranks needs strategies with intervals of gain and rank.
    """
    verdict = str(question.get("verdict") or NOT_YET)
    summary = str(question.get("summary") or "Not yet.")
    if verdict in WITHOUT_EVIDENCE:
        return verdict, summary
    contrasts, tasks = question.get("contrasts") or [], question.get("tasks") or []
    if contrasts:
        carried = any(is_evidence(entry) for entry in contrasts)
    elif tasks:
        rungs = [entry.get("reached_by") or entry.get("nearest") or {} for entry in tasks]
        carried = any(known(rung.get("low")) and known(rung.get("high")) for rung in rungs)
    else:
        carried = any(entry.get("gain_ci") and entry.get("rank_ci") for entry in strategies)
    if carried:
        return verdict, summary
    return NOT_YET, "Not yet: nothing that this question rests on has an interval and a number of items."


def is_evidence(entry: dict[str, Any]) -> bool:
    """Whether an entry holds an estimate with interval, n and test."""
    numbers = all(known(entry.get(key)) for key in ("estimate", "low", "high"))
    items, _ = evidence_size(entry)
    return numbers and bool(items) and bool(entry.get("test"))


def _ends(entry: dict[str, Any]) -> list[tuple[str, str]]:
    """(of, against) of a contrast, each pair once."""
    pairs = [pair for pair in entry.get("pairs") or [] if isinstance(pair, dict)]
    ends = [(str(pair.get("of", "")), str(pair.get("against", ""))) for pair in pairs]
    if not ends and entry.get("of"):
        ends = [(str(entry["of"]), str(entry.get("against", "")))]
    return list(dict.fromkeys(ends))


def _contrast(reading: Reading, entry: dict[str, Any]) -> dict[str, Any]:
    ends = _ends(entry)
    items, clusters = evidence_size(entry)
    names = list(dict.fromkeys(name for pair in ends for name in pair if name))
    p = entry.get("p_adjusted")
    tested = is_evidence(entry)
    return {
        "id": str(entry.get("id", "")),
        "title": str(entry.get("title") or entry.get("id", "")),
        "names": names,
        "tested": tested,
        "status": str(entry.get("status") or ("tested" if tested else NOT_YET)),
        "estimate": entry.get("estimate"),
        "low": entry.get("low"),
        "high": entry.get("high"),
        "items": items,
        "clusters": clusters,
        "test": str(entry.get("test") or ""),
        "p": entry.get("p"),
        "p_adjusted": p,
        "mde": entry.get("mde"),
        "is_clear": p is not None and known(p) and p <= ALPHA,
        "statement": str(entry.get("statement") or NOT_YET),
        "note": str(entry.get("note") or ""),
        "link": anchor(names[0]) if names and stem(names[0]) in reading.anchors else "",
    }


def _chart(question: dict[str, Any], contrasts: list[dict[str, Any]]) -> Rows | None:
    marks = tuple(
        Mark(
            label=entry["title"],
            value=entry["estimate"],
            low=entry["low"],
            high=entry["high"],
            strong=entry["is_clear"],
            hover=f"{entry['title']}: {signed(entry['estimate'])} ({interval(entry['low'], entry['high'])}), "
            f"n = {entry['items']}, adjusted p {probability(entry['p_adjusted'])}, MDE {number(entry['mde'])}",
            link=entry["link"],
        )
        for entry in contrasts
        if entry["tested"]
    )
    if not marks:
        return None
    name = str(question.get("id", "question")).lower()
    return Rows(
        name=f"contrasts-{name}",
        title=f"{question.get('id', '')}: {question.get('question', '')}",
        alt=f"Estimates and intervals of {len(marks)} contrasts of {question.get('id', '')}; the table lists them",
        x=Axis("difference (right is better)"),
        marks=marks,
    )


def _threshold(reading: Reading, entry: dict[str, Any]) -> dict[str, Any]:
    """One task of a question about the least that reaches another model's figure."""
    anchor_, rung = entry.get("anchor"), entry.get("reached_by") or entry.get("nearest")
    figure = anchor_ if isinstance(anchor_, dict) else {}
    reached = rung if isinstance(rung, dict) else {}
    task = reading.plan.study.tasks.get(str(entry.get("task")))
    between = entry.get("steps_between")
    return {
        "task": task.title if task else str(entry.get("task", "")),
        "metric": str(entry.get("metric", "")),
        "status": str(entry.get("status") or NOT_YET),
        "figure": number(figure.get("value")) if known(figure.get("value")) else "",
        "source": str(figure.get("source") or ""),
        "line": number(entry["threshold"]) if known(entry.get("threshold")) else "",
        "floor": number(entry["floor"]) if known(entry.get("floor")) else "",
        "name": str(reached.get("experiment") or ""),
        "share": number(reached.get("share"), 2) if reached else "",
        "interval": span(reached.get("low"), reached.get("high"), 2) if reached else "",
        "steps": f"{between[0]:,} to {between[1]:,}" if isinstance(between, list) and len(between) == 2 else "",
        "hours": hours(reached.get("gpu_hours")) if reached else "",
        "rows": count(reached.get("rows_seen")) if known(reached.get("rows_seen")) else "",
        "note": str(entry.get("note") or ""),
    }
