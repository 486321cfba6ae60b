"""One file a command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Command:
    """A command: its name, its group in the help, an example of it, and its function."""

    name: str
    group: str
    example: str
    function: Callable[..., Any]


_EXAMPLES = {
    "Ask a question": (
        "init tickets.csv tickets-test.csv",
        "plan qwen2-finance --profile demo --track fast",
        "doctor qwen2-finance --profile pilot",
        "data imdb --profile demo --rows 5",
        "metrics",
        "schema",
        "mirror qwen2-finance --profile pilot --to mirror",
    ),
    "Run it": (
        "run qwen2-finance --profile demo --out runs/demo",
        "status runs/demo --watch",
        "gate runs/demo",
        "bench --profile pilot",
    ),
    "Read the results": (
        "report runs/demo",
        "serve runs/demo",
        "compare 3a-sst2 3b-glue --run runs/demo",
        "items --task sst2 --run runs/demo --to sst2.jsonl",
        "score gpt-4.jsonl --task sst2 --run runs/demo",
        "export 3a-sst2 --run runs/demo --to adapters/sst2",
    ),
}


def commands() -> Iterator[Command]:
    """The commands in the order of the help; each is the function of its name in its module."""
    for group, examples in _EXAMPLES.items():
        for example in examples:
            name = example.split()[0]
            yield Command(name, group, f"regimen {example}", getattr(import_module(f"regimen.cli.{name}"), name))
