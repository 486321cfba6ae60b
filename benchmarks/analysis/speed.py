"""How long findings and the rows of results.csv take for a whole run, and reading item rows by two ways of pyarrow.

python -m benchmarks.analysis.speed --out benchmarks/analysis/RESULT.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tests.support.simulated_runs import simulate, skill

from regimen.analysis.evidence import Evidence
from regimen.analysis.exploratory_grid import exploratory_grid
from regimen.analysis.findings import findings
from regimen.analysis.results_table import result_rows
from regimen.plan import compile_plan
from regimen.study import load_study

COLUMNS = ["item_id", "cluster", "target", "prediction"]


def timed(work: Callable[[], object]) -> dict[str, float]:
    """Wall-clock and processor seconds of one call."""
    wall, busy = time.perf_counter(), time.process_time()
    work()
    return {"wall": round(time.perf_counter() - wall, 2), "cpu": round(time.process_time() - busy, 2)}


def _by_file(path: Path) -> pa.Table:
    with pq.ParquetFile(path) as file:
        return file.read(columns=COLUMNS, use_threads=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    plan = compile_plan(load_study("qwen2-finance", "demo"))
    with tempfile.TemporaryDirectory() as scratch:
        tables = simulate(Path(scratch) / "run", plan, skill, items=64)
        files = [cell.folder / "items.parquet" for cell in tables.cells.values()]
        evidence = Evidence(tables)
        result = {
            "date": time.strftime("%Y-%m-%d"),
            "python": platform.python_version(),
            "numpy": np.__version__,
            "pyarrow": pa.__version__,
            "cores": os.cpu_count(),
            "threads": os.environ.get("OMP_NUM_THREADS", "all"),
            "cells": len(files),
            "read_table": timed(lambda: [pq.read_table(file, columns=COLUMNS) for file in files]),
            "parquet_file": timed(lambda: [_by_file(file) for file in files]),
            "grid": timed(lambda: exploratory_grid(evidence)),
            "findings": timed(lambda: findings(evidence, exploratory_grid(evidence))),
            "rows_after_findings": timed(lambda: result_rows(evidence, exploratory_grid(evidence))),
        }
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
