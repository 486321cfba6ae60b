"""Measures all that a GPU has to say, in under 20 minutes on one H100:

    python -m benchmarks.gpu --json results.json [--only steps,answers] [--minutes 18]

Qwen2-0.5B's true shape with random weights, bf16, 8 x 512 tokens a step. Sections: steps (K = 1, 2, 4, 8, packed
blocks, eager and compiled, memory), attention (segments against masks), head (chunks, torch's and liger's kernels),
products (rank 4), peers (TRL with PEFT), answers (scoring and decoding beside transformers and vLLM), repeats (equal
to the last bit), and the hours of the plan that follow. Each runs in a process of its own, so that one that breaks the
GPU leaves the others whole, and ends when its time is over. `--smoke` runs all of it on a CPU, tiny, to see that it
works.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.gpu.common import NOT_INSTALLED, TINY, TRUE, Clock, Row, Scale
from regimen.execution.machine import allocator
from regimen.gpus import visible

PACKAGES = ("torch", "transformers", "trl", "peft", "flash-attn", "liger-kernel", "vllm", "triton")
# Shares of the time; the first in this order matter most.
SHARES = {"steps": 6.0, "answers": 3.5, "repeats": 1.5, "attention": 1.0, "head": 1.0, "products": 1.0, "peers": 4.0}
STARTING = 20.0  # seconds that a process takes to begin


def work_of(section: str) -> Callable[[Scale, Clock], None]:
    """The function of a section; each imports what it needs."""
    from benchmarks.gpu import answers, kernels, repeats, training

    table: dict[str, Callable[[Scale, Clock], None]] = {
        "steps": training.steps,
        "peers": training.peers,
        "attention": kernels.attention,
        "head": kernels.head,
        "products": kernels.products,
        "answers": answers.answers,
        "repeats": repeats.repeats,
    }
    return table[section]


def in_this_process(section: str, scale: Scale, clock: Clock) -> list[Row]:
    """A section's rows."""
    sys.stderr.write(f"{section}\n")
    work_of(section)(scale, clock)
    return clock.rows


def in_a_process(section: str, seconds: float) -> list[Row]:
    """The same in a process of its own, and a last row that says so where it did not end well."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "rows.jsonl"
        file.touch()
        limit = 1.5 * seconds + 2 * STARTING
        command = [sys.executable, "-m", "benchmarks.gpu", "--section", section, "--minutes", str(seconds / 60)]
        try:
            done = subprocess.run([*command, "--json", str(file)], check=False, timeout=limit)
            fault = f"its process ended with code {done.returncode}" if done.returncode else None
        except subprocess.TimeoutExpired:
            fault = f"ended after {limit:.0f} s"
        rows: list[Row] = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        return [*rows, {"failed": fault}] if fault else rows


def versions() -> dict[str, str]:
    """The versions of what is measured, or that it is not installed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = NOT_INSTALLED
    return found


def measure_all(sections: Sequence[str], minutes: float, smoke: bool) -> dict[str, object]:
    """The document."""
    warnings.simplefilter("ignore")
    gpus = visible()
    began = time.monotonic()
    share = minutes * 60 / sum(SHARES[name] for name in sections)
    rows: dict[str, list[Row]] = {}
    seconds: dict[str, float] = {}
    for section in sections:
        start, allowed = time.monotonic(), SHARES[section] * share
        rows[section] = (
            in_this_process(section, TINY, Clock(allowed))
            if smoke
            else in_a_process(section, max(10.0, allowed - STARTING))
        )
        seconds[section] = round(time.monotonic() - start, 1)
    if "steps" in rows:
        from benchmarks.gpu.hours import plan_hours

        rows["plan hours"] = plan_hours(rows["steps"], "fast" if smoke else "full")
    return {
        "date": time.strftime("%Y-%m-%d"),
        "command": " ".join(["python -m benchmarks.gpu", *sys.argv[1:]]),
        "device": "cpu (smoke)" if smoke else gpus[0].name,
        "memory_gib": None if smoke else round(gpus[0].memory / 2**30, 1),
        "versions": versions(),
        "minutes": round((time.monotonic() - began) / 60, 2),
        "seconds": seconds,
        "sections": rows,
    }


def table_of(document: dict[str, object]) -> str:
    """The document for reading: a line a measurement."""
    lines = [f"{document['device']}, {document['date']}, {document['minutes']} minutes", str(document["versions"])]
    sections = document["sections"]
    assert isinstance(sections, dict)
    for name, rows in sections.items():
        lines += ["", name, *("  " + ", ".join(f"{key} {value}" for key, value in row.items()) for row in rows)]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the document to this file")
    parser.add_argument("--only", help="sections, comma-separated: " + ", ".join(SHARES))
    parser.add_argument("--minutes", type=float, default=18.0, help="the time for all sections")
    parser.add_argument("--smoke", action="store_true", help="tiny, on a CPU")
    parser.add_argument("--section", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    os.environ.update(allocator())
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    if options.section:
        warnings.simplefilter("ignore")
        in_this_process(options.section, TRUE, Clock(options.minutes * 60, options.json))
        return 0
    sections = options.only.split(",") if options.only else list(SHARES)
    unknown = [name for name in sections if name not in SHARES]
    if unknown:
        parser.error(f"no section {unknown[0]!r}; there are {', '.join(SHARES)}")
    if not options.smoke and not visible():
        sys.stderr.write("no GPU is visible; --smoke tries the command without one\n")
        return 2
    document = measure_all(sections, options.minutes, options.smoke)
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(table_of(document) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
