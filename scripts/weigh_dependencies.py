"""Prints the table of docs/decisions/dependencies.md, the cost of each: `python scripts/weigh_dependencies.py`.

Size: of the distribution's own files, and of the distributions that only it brings. Import: processor seconds of a
process that imports it, without those of one that imports nothing; the least of three.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

MODULES = {"google-re2": "re2", "pyyaml": "yaml", "scikit-learn": "sklearn", "huggingface-hub": "huggingface_hub"}


def needs(name: str) -> list[str]:
    """The distributions that one needs here, by name, without its extras; what is not installed is left out."""
    try:
        wanted = [Requirement(text) for text in distribution(name).requires or []]
    except PackageNotFoundError:
        return []
    return [one.name.lower() for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]


def closure(names: list[str]) -> set[str]:
    """All that comes with some distributions, themselves included."""
    found: set[str] = set()
    while names:
        name = names.pop()
        if name not in found:
            found.add(name)
            names += needs(name)
    return found


def megabytes(name: str) -> float:
    """The size of a distribution's files, 0 for one that is not installed."""
    try:
        files = distribution(name).files or []
    except PackageNotFoundError:
        return 0.0
    paths = [file.locate() for file in files]
    return sum(path.stat().st_size for path in paths if path.exists()) / 1e6  # pyright: ignore


def seconds(*modules: str) -> float:
    """Processor seconds of a process that imports modules, the least of three."""
    code = "; ".join(["import sys", *(f"import {module}" for module in modules)])
    took = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(took)


def licence(found: Distribution) -> str:
    """As its metadata names it."""
    classifiers = [text for text in found.metadata.get_all("Classifier") or [] if text.startswith("License")]
    written = str(found.metadata.json.get("license_expression") or found.metadata.json.get("license") or "")
    return written if 0 < len(written) < 40 else classifiers[0].split(" :: ")[-1] if classifiers else written[:40]


def main() -> None:
    """Print the table."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    direct = [Requirement(text).name.lower() for text in project["dependencies"]]
    idle = seconds()
    print("| package | MB | MB that it alone brings beside | import, s | licence |\n|---|--:|--:|--:|---|")
    for name in sorted(direct, key=megabytes, reverse=True):
        others = closure([other for other in direct if other != name])
        brings = sum(megabytes(one) for one in closure([name]) - others - {name})
        took = seconds(MODULES.get(name, name.replace("-", "_"))) - idle
        print(f"| {name} | {megabytes(name):.0f} | {brings:.0f} | {took:.1f} | {licence(distribution(name))} |")
    everything = sum(megabytes(name) for name in closure(list(direct)))
    print(f"\nAll together: {everything:,.0f} MB. `import regimen`: {seconds('regimen') - idle:.1f} s.")


if __name__ == "__main__":
    main()
