"""The values of a row that a template puts in, without the template's fixed words.

Owns taking a template apart. A row is compared with test items by these values alone: the words that a study wraps
around every row say nothing about a row. Does not know forms, rows' files or what is compared.
"""

from __future__ import annotations

import re
from functools import cache

from jinja2 import Template, nodes

from regimen.study.templates import compiled, with_row

_MARK = "\x00"  # stands where fixed words stood; no row's text holds it
_FEWEST_WORDS = 3  # a constant of fewer words is no sentence that rows could share
_PLACEHOLDER = re.compile(r"%[-+ #0-9.]*[a-z]|\{[^{}]*\}")


def is_all_content(source: str) -> bool:
    """True if a template is nothing but one value: `{{ text }}` or `{{ text | trim }}`."""
    return _bare(source)[2]


def put_in(source: str, row: dict[str, object]) -> tuple[str, ...]:
    """The texts that the template's expressions put out for a row, in order, empty ones left out.

    Constants in expressions ("Question: " ~ text, the words of `default`) count as the template's own words. Raises
    what `fill` raises.
    """
    template, constants, _, names = _bare(source)
    if names is not None and all(isinstance(row.get(name), str) for name in names):
        return tuple(text for name in names if (text := str(row[name]).strip()))
    text = template.render(with_row(source, row))
    for constant in constants:
        text = text.replace(constant, _MARK)
    pieces = (piece.strip() for piece in text.split(_MARK))
    return tuple(piece for piece in pieces if piece)


@cache
def _bare(source: str) -> tuple[Template, tuple[str, ...], bool, tuple[str, ...] | None]:
    """The template without fixed words, the constant phrases inside its expressions, whether it is one value alone.

    Last the columns of a template that does nothing but put columns into text: Jinja need not be asked for these.
    """
    environment = compiled(source).environment
    tree = environment.parse(source)
    constants = _phrases(tree)
    outputs = list(tree.find_all(nodes.Output))
    shown = [node for output in outputs for node in output.nodes]
    alone = len(tree.body) == 1 and len(shown) == 1 and not constants and _is_plain(shown[0])
    values = [node for node in shown if not isinstance(node, nodes.TemplateData)]
    names = tuple(node.name for node in values if isinstance(node, nodes.Name))
    plain = all(isinstance(part, nodes.Output) for part in tree.body)
    only = plain and len(names) == len(values) and not {*names} & {"self", *environment.globals}
    for output in outputs:
        output.nodes = [piece for node in output.nodes for piece in _without_words(node)]
    return environment.from_string(tree), constants, alone, names if only else None


def _is_plain(node: nodes.Node) -> bool:
    """A column, its parts, or filters of it that add no words."""
    if isinstance(node, nodes.Filter):
        return node.name in ("trim", "string") and node.node is not None and _is_plain(node.node)
    return isinstance(node, nodes.Name | nodes.Getattr | nodes.Getitem)


def _phrases(tree: nodes.Template) -> tuple[str, ...]:
    """Constant phrases of several words, the longest first."""
    phrases = set()
    for constant in tree.find_all(nodes.Const):
        if isinstance(constant.value, str):
            parts = (part.strip() for part in _PLACEHOLDER.split(constant.value))
            phrases |= {part for part in parts if len(part.split()) >= _FEWEST_WORDS}
    return tuple(sorted(phrases, key=lambda part: (-len(part), part)))


def _without_words(node: nodes.Expr) -> list[nodes.Expr]:
    """An output node between marks, its fixed words replaced by a mark."""
    if isinstance(node, nodes.TemplateData):
        return [nodes.TemplateData(_MARK)]
    return [nodes.TemplateData(_MARK), _bare_expression(node), nodes.TemplateData(_MARK)]


def _bare_expression(node: nodes.Expr) -> nodes.Expr:
    if isinstance(node, nodes.Const):
        return nodes.Const(_MARK)
    if isinstance(node, nodes.Concat):
        node.nodes = [_bare_expression(part) for part in node.nodes]
    elif isinstance(node, nodes.Add):
        node.left, node.right = (
            nodes.Const(_MARK) if isinstance(side, nodes.Const) and isinstance(side.value, str) else side
            for side in (node.left, node.right)
        )
        node.left = _bare_expression(node.left) if isinstance(node.left, nodes.Add) else node.left
    elif isinstance(node, nodes.CondExpr):
        node.expr1 = _bare_expression(node.expr1)
        node.expr2 = _bare_expression(node.expr2) if node.expr2 is not None else None
    elif isinstance(node, nodes.Or):
        node.left, node.right = _bare_expression(node.left), _bare_expression(node.right)
    elif isinstance(node, nodes.Filter) and node.name == "lettered":
        node.name, node.args = "join", [nodes.Const(_MARK)]
    elif isinstance(node, nodes.Filter) and node.name in ("default", "d"):
        node.args = [nodes.Const("") if isinstance(arg, nodes.Const) else arg for arg in node.args]
    elif isinstance(node, nodes.Filter) and node.node is not None:
        node.node = node.node if isinstance(node.node, nodes.Const) else _bare_expression(node.node)
    return node
