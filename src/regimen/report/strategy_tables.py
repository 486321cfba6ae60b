"""Strategies: the taxonomy, the recommended recipes, the tree a practitioner follows.

Owns how these parts of the findings are laid out. Does not know how gains are measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regimen.report.run_reading import Reading
from regimen.report.words import NOT_YET, count, interval, known, number, points, share, signed


def taxonomy(reading: Reading) -> list[dict[str, Any]]:
    """A row a strategy, in the findings' order."""
    return [_row(reading, entry) for entry in reading.found_list("taxonomy")]


def _row(reading: Reading, entry: Mapping[str, Any]) -> dict[str, Any]:
    names = [str(name) for name in entry.get("experiments") or []]
    best = entry.get("best_experiment")
    groups = entry.get("groups")
    by_group = groups if isinstance(groups, Mapping) else {}
    return {
        "strategy": str(entry.get("strategy", "")),
        "experiments": names,
        "planned": entry.get("planned"),
        "gain": signed(entry.get("mean_normalised_gain")),
        "interval": _pair(entry.get("gain_ci")),
        "worst": signed(entry.get("worst_task_gain")),
        "worst_task": str(entry.get("worst_task") or ""),
        "rank": _pair(entry.get("rank_ci"), 0, plain=True) or NOT_YET,
        "first": share(entry.get("first_share")),
        "hours": entry.get("gpu_hours"),
        "best": str(best["experiment"]) if isinstance(best, Mapping) and best.get("experiment") else "",
        "harmed": [str(task) for task in entry.get("harmed_tasks") or []],
        "groups": [_group(by_group.get(group)) for group in reading.groups],
    }


def _group(found: Any) -> dict[str, str]:
    if not isinstance(found, Mapping) or not known(found.get("gain")):
        return {"gain": NOT_YET, "interval": ""}
    return {"gain": signed(found["gain"]), "interval": interval(found.get("low"), found.get("high"))}


def _pair(value: Any, digits: int = 3, plain: bool = False) -> str:
    if not isinstance(value, list | tuple) or len(value) != 2 or not all(known(part) for part in value):
        return ""
    low, high = value
    return f"{number(low, digits)} to {number(high, digits)}" if plain else interval(low, high, digits)


def recipes(reading: Reading) -> list[dict[str, Any]]:
    """A row a task, a cell a budget: the recipe that the evidence supports."""
    entries = [entry for entry in reading.found_list("recipes") if entry.get("task") is not None]
    rows = []
    for task in dict.fromkeys(str(entry["task"]) for entry in entries):
        mine = [entry for entry in entries if str(entry["task"]) == task]
        shape = reading.plan.study.tasks.get(task)
        rows.append({"task": shape.title if shape else task, "cells": [_recipe(entry) for entry in mine]})
    return rows


def _recipe(entry: Mapping[str, Any]) -> dict[str, Any]:
    name = entry.get("recipe")
    there = name is not None and known(entry.get("gain"))
    size = entry.get("n")
    return {
        "budget": entry.get("budget_gpu_hours"),
        "recipe": str(name) if name is not None else "",
        "gain": points(entry.get("gain")) if there else "",
        "interval": f"{points(entry.get('low'))} to {points(entry.get('high'))}" if there else "",
        "items": count(size.get("items")) if isinstance(size, Mapping) else "",
        "statement": str(entry.get("statement") or NOT_YET),
        "cheapest": str(entry.get("cheapest_alike") or ""),
    }


def budgets(reading: Reading) -> list[float]:
    """The budgets of the recipes, rising."""
    found = {entry.get("budget_gpu_hours") for entry in reading.found_list("recipes")}
    return sorted(value for value in found if isinstance(value, int | float))


def tree(reading: Reading) -> list[dict[str, Any]]:
    """A node a kind of answer, with a branch a budget."""
    return [
        {
            "kind": str(node.get("kind", "")),
            "tasks": [str(task) for task in node.get("tasks") or []],
            "note": str(node.get("note") or ""),
            "branches": [_branch(branch) for branch in node.get("branches") or [] if isinstance(branch, Mapping)],
        }
        for node in reading.found_list("tree")
    ]


def _branch(branch: Mapping[str, Any]) -> dict[str, Any]:
    chosen = branch.get("recipes")
    names = list(dict.fromkeys(str(name) for name in chosen.values())) if isinstance(chosen, Mapping) else []
    return {
        "budget": branch.get("budget_gpu_hours"),
        "strategy": str(branch.get("strategy") or ""),
        "statement": str(branch.get("statement") or NOT_YET),
        "recipes": names,
    }
