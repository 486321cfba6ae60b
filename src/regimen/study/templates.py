"""Row templates: Jinja in a sandbox, with a few filters of the trade.

Owns the environment in which a study's templates are checked and rendered. Templates come from strangers: they
run in a sandbox that bounds their work (`study.template_limits`), see the row's columns and nothing else, and a missing
column is an error. Does not know sources, forms or rows.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from functools import cache

from jinja2 import Template, TemplateSyntaxError, nodes
from jinja2.environment import TemplateExpression
from jinja2.meta import find_undeclared_variables

from regimen.study.template_limits import BoundedEnvironment, as_text, bounded

ROW = "row"  # by this name a template may take any column: row["Ticket Text"]
_BLANKS = re.compile(r"\{\{-?\s*([^\W\d]\w*(?: +[\w?!#%&-]+)+)\s*(?:\||-?\}\})")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def table_rows(text: str) -> str:
    """Turns HTML tables inside `text` into lines of cells parted by " | " (the form of FinGPT's ConvFinQA)."""
    text = re.sub(r"</t[dh]>\s*<t[dh][^>]*>", " | ", text)
    text = re.sub(r"</tr>|<tr[^>]*>|</?table[^>]*>", "\n", text)
    return re.sub(r"\n[ \n]*\n", "\n", re.sub(r"</?t[dh][^>]*>", "", text))


def drop_calculations(text: str) -> str:
    """Removes GSM8K's calculator marks, "<<3*4=12>>"."""
    return re.sub(r"<<[^<>]*>>", "", text)


def entities(tags: Sequence[str | int], tokens: Sequence[str], names: Sequence[str] = ()) -> list[tuple[str, str]]:
    """The (surface, type) pairs of an IOB tagged sentence, in order; `names` turns tag ids into tags."""
    spans: list[tuple[list[str], str]] = []
    inside = ""
    for token, raw in zip(tokens, tags, strict=True):
        tag = names[raw] if isinstance(raw, int) else raw
        prefix, _, kind = tag.partition("-")
        if not kind:
            inside = ""
        elif prefix == "I" and inside == kind:
            spans[-1][0].append(token)
        else:
            spans.append(([token], kind))
            inside = kind
    return [(" ".join(words), kind) for words, kind in spans]


def bytes_literal(text: str) -> str:
    """The text of a printed bytes value ("b'3*x\\n'", the Hub's form of DeepMind's mathematics), else the text."""
    if re.fullmatch(r"b(['\"]).*\1", text, re.DOTALL):
        return ast.literal_eval(text).decode("utf-8", errors="replace")
    return text


def lettered(options: Iterable[object]) -> str:
    """Options as lines "A. first", "B. second", ..."""
    return "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))


def letters(options: Sequence[object]) -> list[str]:
    """As many letters as there are options."""
    return list(LETTERS[: len(options)])


@cache
def _environment() -> BoundedEnvironment:
    return BoundedEnvironment(
        {
            "table_rows": table_rows,
            "drop_calculations": drop_calculations,
            "entities": entities,
            "bytes_literal": bytes_literal,
            "lettered": lettered,
            "letters": letters,
        }
    )


@cache
def compiled(source: str) -> Template:
    """The compiled template; raises jinja2.TemplateSyntaxError."""
    return _environment().from_string(source)


def fill(source: str, row: dict[str, object]) -> str:
    """The template's text for a row; raises jinja2.TemplateError (TooMuchWork among them), TypeError and what its
    filters raise.

    Most templates do nothing but put columns into text: for these Jinja's own work, a context for every row, is a
    quarter of all that is done to a row besides tokenising it.
    """
    pieces = _pieces(source)
    if pieces is None or any(name not in row for _, name in pieces if name is not None):
        with bounded(row):
            return compiled(source).render(with_row(source, row))
    return "".join(text if name is None else str(as_text(row[name])) for text, name in pieces)


@cache
def _pieces(source: str) -> tuple[tuple[str, str | None], ...] | None:
    """The (text, column) pieces of a template that has only these, else None."""
    environment = _environment()
    pieces: list[tuple[str, str | None]] = []
    for output in environment.parse(source).body:
        if not isinstance(output, nodes.Output):
            return None
        for node in output.nodes:
            if isinstance(node, nodes.TemplateData):
                pieces.append((node.data, None))
            elif isinstance(node, nodes.Name) and node.name not in {"self", *environment.globals}:
                pieces.append(("", node.name))
            elif (column := _column_of_row(node)) is not None and isinstance(node, nodes.Getitem):
                pieces.append(("", column))
            else:
                return None
    return tuple(pieces)


def check_template(source: str) -> str:
    """Returns `source` if it is a valid template, else raises ValueError with the line and the fault."""
    try:
        compiled(source)
    except TemplateSyntaxError as fault:
        blanks = _BLANKS.search(source)
        remedy = f'; a column with blanks in its name is written row["{blanks[1]}"]' if blanks else ""
        raise ValueError(f"not a valid template (line {fault.lineno}: {fault.message}){remedy}") from None
    except (RecursionError, MemoryError, SyntaxError, OverflowError):  # of Python's own compiler, for too deep nesting
        raise ValueError("not a valid template (nested too deeply)") from None
    return source


@cache
def columns_of(source: str) -> frozenset[str]:
    """The columns that a template refers to, those named by `row["Any name"]` among them."""
    environment = _environment()
    tree = environment.parse(source)
    names = find_undeclared_variables(tree) - set(environment.globals)
    if ROW not in names:
        return frozenset(names)
    parts = list(tree.find_all((nodes.Getitem, nodes.Getattr)))
    named = {column for part in parts if (column := _column_of_row(part)) is not None}
    whole = sum(name.name == ROW for name in tree.find_all(nodes.Name))
    is_part = sum(isinstance(part.node, nodes.Name) and part.node.name == ROW for part in parts)
    return frozenset((names - {ROW} if whole == is_part else names) | named)


def _column_of_row(node: nodes.Node) -> str | None:
    """The column that `row["Ticket Text"]` or `row.title` names, None for another expression."""
    if not isinstance(node, nodes.Getitem | nodes.Getattr):
        return None
    if not isinstance(node.node, nodes.Name) or node.node.name != ROW:
        return None
    if isinstance(node, nodes.Getattr):
        return None if hasattr(dict, node.attr) else node.attr
    return node.arg.value if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str) else None


def with_row(source: str, row: dict[str, object]) -> dict[str, object]:
    """The variables of a template: the columns, and all of them as `row`, unless a column of that name is there."""
    return {**row, ROW: row} if ROW not in row and _mentions_row(source) else row


@cache
def _mentions_row(source: str) -> bool:
    return ROW in find_undeclared_variables(_environment().parse(source))


def evaluate(source: str, row: dict[str, object]) -> object:
    """The value of a template that is one `{{ expression }}`, as a Python value rather than text; raises as `fill`."""
    with bounded(row):
        return _expression(source)(**with_row(source, row))


@cache
def _expression(source: str) -> TemplateExpression:
    expression = source.strip().removeprefix("{{").removesuffix("}}")
    return _environment().compile_expression(expression, undefined_to_none=False)
