"""The messages of deliberate errors, read off the source: what a user may see, with "…" where a value stands.

Does not run the code; a message that is put together elsewhere and raised by a name is not found.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

from regimen import errors

PACKAGE = Path(errors.__file__).parent
CLASSES = {
    name for name, value in vars(errors).items() if inspect.isclass(value) and value.__module__ == errors.__name__
}


def messages() -> dict[str, list[tuple[str, str]]]:
    """{package: (error, message)} in the order of the files; a study's own faults begin as ValueErrors."""
    found: dict[str, list[tuple[str, str]]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        classes = CLASSES | {"ValueError"} if place == "study" else CLASSES
        for raised, text in _raised(ast.parse(path.read_text(encoding="utf-8"))):
            if raised in classes:
                shown = "StudyError" if raised == "ValueError" else raised
                found.setdefault(place, []).append((shown, text))
    return {place: list(dict.fromkeys(pairs)) for place, pairs in found.items()}


def page_part() -> str:
    """The messages as tables, one a package."""
    lines = [
        "## Messages",
        "",
        'Where "…" stands, a message has a value. Those of a study name the file and the line as well.',
    ]
    for place, pairs in messages().items():
        lines += ["", f"### {place}", "", "| error | message |", "|---|---|"]
        lines += [f"| `{raised}` | {_cell(text)} |" for raised, text in pairs]
    return "\n".join(lines)


def _raised(module: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(module):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
            text = _text(node.exc.args[0]) if node.exc.args else ""
            if text.strip(" …"):
                yield node.exc.func.id, text


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return "…"


def _cell(text: str) -> str:
    plain = " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")
    return plain.replace("`", "'").replace("[", "\\[")
