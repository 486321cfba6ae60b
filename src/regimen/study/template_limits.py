"""A Jinja environment for templates of strangers: sandboxed, nothing computed before a row is there, work bounded.

Owns the bounds. Each row may cost so much work, counted in loop turns and in characters made, not in seconds: a row
that is refused here is refused on every machine. Does not know rows, filters of the trade or studies.

Jinja's immutable sandbox keeps a template away from Python; it does not keep it from `'a' * 10 ** 9`, from loops
inside loops or from a macro that calls itself twice. So `+ * ** % ~` are intercepted, loops and calls are counted, and
what a filter or method could multiply is charged before it is made. Jinja would also work out constant expressions
while it compiles (when a study is loaded); here it does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from math import isfinite
from typing import Any

from jinja2 import StrictUndefined, TemplateRuntimeError, TemplateSyntaxError, nodes, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

WORK = 5_000_000  # of one row: loop turns and characters made, about half a second
WORK_PER_CHARACTER = 20  # of the row's own values on top, so that long documents can be cut and joined
LONGEST_NUMBER = 4096  # bits of a whole number
WIDEST = 1000  # of a padding, an indent or a format's width
DEEPEST = 100  # levels of brackets and blocks
_METHODS_OF_WIDTH = frozenset({"center", "ljust", "rjust", "zfill", "expandtabs"})
_UNSAFE_METHODS = frozenset({"translate", "format_map", "encode", "to_bytes", "maketrans"})
_PERCENT_WIDTH = re.compile(r"%(\([^()]*\))?[-+ #0]*[\d.]*(\d{4}|\*)")
_BRACE_WIDTH = re.compile(r"\{[^{}:]*:[^{}]*(\d{4}|\{)")
_LOOPED = "counted by regimen"


class TooMuchWork(TemplateRuntimeError):
    """A template that needs more work for one row than any form of text does."""


class _Allowance:
    """The work that a rendering may still do."""

    def __init__(self, left: int):
        self.left = left

    def charge(self, work: int) -> None:
        self.left -= work
        if self.left < 0:
            raise TooMuchWork(
                f"needs more work than {WORK:,} loop turns and characters; templates may not multiply texts or nest "
                "long loops"
            )


_allowance: ContextVar[_Allowance] = ContextVar("allowance")


def charge(work: int) -> None:
    """Counts work of the rendering under way; raises TooMuchWork once it is more than one row may cost."""
    allowance = _allowance.get(None)
    if allowance is not None:
        allowance.charge(work)


@contextmanager
def bounded(row: Mapping[str, object]) -> Iterator[None]:
    """Within, one row is rendered; raises TemplateRuntimeError for what is too much, too deep or not to be had."""
    own = sum(_size(value) for value in row.values())
    token = _allowance.set(_Allowance(WORK + WORK_PER_CHARACTER * own))
    try:
        yield
    except RecursionError:
        raise TooMuchWork("calls itself without end") from None
    except (OverflowError, MemoryError, ArithmeticError) as fault:
        raise TemplateRuntimeError(f"{type(fault).__name__}: {fault}") from None
    finally:
        _allowance.reset(token)


def _size(value: object) -> int:
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, Mapping):
        return sum(_size(key) + _size(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return len(value) + sum(_size(item) for item in value)
    return 1


@pass_context
def _as_text(context: Context, value: object) -> object:
    """The value that a template puts out; raises TypeError for a structure, which would be printed as if it were text.

    That it asks for the context keeps Jinja from working out constants while it compiles.
    """
    if isinstance(value, str):
        charge(len(value))
    return as_text(value)


def as_text(value: object) -> object:
    """The value itself, nothing for null; raises TypeError for a structure, bytes, NaN and infinities."""
    if isinstance(value, dict | list | tuple | set | bytes):
        raise TypeError(f"a {type(value).__name__} is not text")
    if isinstance(value, float) and not isfinite(value):
        raise TypeError(f"{value} is not text")
    return "" if value is None else value


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """Jinja's immutable sandbox with a bound on the work of a row."""

    intercepted_binops = frozenset({"+", "*", "**", "%", "<<"})

    def __init__(self, filters: Mapping[str, Callable[..., Any]]):
        super().__init__(
            undefined=StrictUndefined,
            autoescape=False,
            keep_trailing_newline=True,
            finalize=_as_text,
            optimized=False,
        )
        del self.globals["lipsum"], self.filters["random"]  # chance has no place in a form
        self.filters |= {name: _charged(name, work) for name, work in {**self.filters, **filters}.items()}
        self.filters[_LOOPED] = _counted

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """The operation, charged before it is done."""
        _charge_operation(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Also refuses methods whose results have no known bound."""
        return attr not in _UNSAFE_METHODS and super().is_safe_attribute(obj, attr, value)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """A call of a macro, a global or a method, charged before and after."""
        charge(30)
        method = getattr(obj, "__wrapped__", obj)
        owner = getattr(method, "__self__", None)
        if isinstance(owner, str):
            _charge_method(method.__name__, owner, args)
        result = super().call(context, obj, *args, **kwargs)
        charge(_width(result))
        return result

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        """The parsed template, its loops counted; raises TemplateSyntaxError for what no row template needs."""
        tree = super()._parse(source, name, filename)
        for node in tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
            raise TemplateSyntaxError("a template cannot read other templates", node.lineno)
        _check_depth(tree)
        for loop in list(tree.find_all(nodes.For)):
            if loop.recursive:
                raise TemplateSyntaxError("recursive loops are not supported", loop.lineno)
            text = sum(len(data.data) for data in loop.find_all(nodes.TemplateData))
            loop.iter = nodes.Filter(loop.iter, _LOOPED, [nodes.Const(1 + text)], [], None, None, lineno=loop.lineno)
        for joined in tree.find_all(nodes.Concat):
            joined.nodes = [nodes.Filter(n, "string", [], [], None, None, lineno=n.lineno) for n in joined.nodes]
        return tree


def _check_depth(tree: nodes.Template) -> None:
    """Raises TemplateSyntaxError where brackets or blocks are nested deeper than anyone reads."""
    layer: list[nodes.Node] = [tree]
    for _ in range(DEEPEST):
        layer = [child for node in layer for child in node.iter_child_nodes()]
        if not layer:
            return
    raise TemplateSyntaxError(f"nested more than {DEEPEST} levels deep", layer[0].lineno)


def _counted(items: Iterable[Any], work: int) -> Iterator[Any]:
    for item in items:
        charge(work)
        yield item


def _width(value: object) -> int:
    return len(value) if isinstance(value, str | list | tuple | dict) else 1


def _charge_operation(operator: str, left: Any, right: Any) -> None:
    if operator == "%" and isinstance(left, str):
        _check_width(_PERCENT_WIDTH, left.replace("%%", ""))
        charge(len(left) + _size(right) + WIDEST)
    elif operator == "<<" or (operator == "**" and isinstance(left, int) and isinstance(right, int)):
        size = abs(left).bit_length() * max(1, right) if operator == "**" else abs(left).bit_length() + right
        _check_number(size)
    elif operator == "*" and isinstance(left, int) and isinstance(right, int):
        _check_number(abs(left).bit_length() + abs(right).bit_length())
    elif operator == "*":
        times = next((value for value in (left, right) if isinstance(value, int)), 1)
        charge(max(0, times) * max(_width(left), _width(right)))
    elif operator == "+":
        charge(_width(left) + _width(right))


def _check_number(bits: int) -> None:
    if bits > LONGEST_NUMBER:
        raise TooMuchWork(f"makes a number of more than {LONGEST_NUMBER} bits")


def _check_width(pattern: re.Pattern[str], form: str) -> None:
    """Raises TooMuchWork for a format that pads to a great or computed width."""
    if pattern.search(form):
        raise TooMuchWork(f"pads to a width of more than {WIDEST - 1} or to a computed one")


def _charge_method(name: str, text: str, args: tuple[Any, ...]) -> None:
    if name in _METHODS_OF_WIDTH:
        _check_padding(args)
        charge(len(text) * WIDEST if name == "expandtabs" else WIDEST)
    elif name == "format":
        _check_width(_BRACE_WIDTH, text)
    elif name == "replace" and len(args) > 1:
        _charge_replacing(text, args[0], args[1])
    elif name == "join" and args:
        _charge_joining(text, args[0])
    else:
        charge(len(text))


def _check_padding(args: Iterable[Any]) -> None:
    for value in args:
        if isinstance(value, int) and value > WIDEST:
            raise TooMuchWork(f"pads or indents by {value:,}; at most {WIDEST:,} are allowed")


def _charge_replacing(text: object, old: object, new: object) -> None:
    if isinstance(text, str) and isinstance(old, str) and isinstance(new, str):
        charge(len(text) + text.count(old) * len(new))


def _charge_joining(separator: object, items: object) -> None:
    if isinstance(items, list | tuple):
        charge(_size(items) + len(items) * _width(separator))


def _charged(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that is charged for its input and its result, and beforehand for what it could multiply."""
    at = 1 if hasattr(work, "jinja_pass_arg") else 0

    @wraps(work)
    def charged(*args: Any, **kwargs: Any) -> Any:
        value, given = args[at], [*args[at + 1 :], *kwargs.values()]
        if name == "join" and not isinstance(value, list | tuple):
            value = list(value)
            args = (*args[:at], value, *args[at + 1 :])
        charge(_width(value))
        _charge_filter(name, value, given)
        result = work(*args, **kwargs)
        charge(_width(result))
        return result

    return charged


def _charge_filter(name: str, value: Any, given: list[Any]) -> None:
    if name in ("center", "indent", "wordwrap", "batch", "slice", "tojson"):
        _check_padding(given)
        lines = str(value).count("\n") if name == "indent" else _width(value) if name == "wordwrap" else 1
        charge(lines * sum(value if isinstance(value, int) else _width(value) for value in given))
    elif name == "format":
        _check_width(_PERCENT_WIDTH, str(value).replace("%%", ""))
    elif name == "replace" and len(given) > 1:
        _charge_replacing(str(value), str(given[0]), str(given[1]))
    elif name == "join":
        _charge_joining(str(given[0]) if given else "", value)
