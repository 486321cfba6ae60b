"""YAML text to plain values, with the line of every value.

Owns what is safe to read: only YAML's plain types, no duplicate keys, bounded size, depth and alias growth. Does
not know what the values mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml
from yaml.reader import ReaderError

from regimen.errors import StudyError

MAX_BYTES = 2_000_000
MAX_DEPTH = 30
MAX_VALUES = 200_000

Position = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """A YAML document's value and, for each path in it, the line it stands on; no lines for one built in Python."""

    value: Any
    lines: dict[Position, int]

    def position(self, path: Position) -> str:
        """ "line 12, sources.imdb" for the deepest known part of `path`; without lines only the path."""
        if not self.lines:
            return dotted(path) or "the study"
        known = path
        while known and known not in self.lines:
            known = known[:-1]
        where = f"line {self.lines.get(known, 1)}"
        return f"{where}, {dotted(path)}" if path else where


def dotted(path: Position) -> str:
    """("experiments", 3, "steps") as "experiments[3].steps"."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def read_document(text: bytes | str, origin: str) -> Document:
    """Reads one YAML mapping; raises StudyError for anything else, naming line and fault."""
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
    except UnicodeDecodeError as fault:
        raise StudyError(origin, [f"byte {fault.start}: not UTF-8 text; a study is a YAML file"]) from None
    if len(decoded) > MAX_BYTES:
        raise StudyError(origin, [f"{len(decoded):,} characters, the limit is {MAX_BYTES:,}"])
    try:
        loader = yaml.SafeLoader(decoded)
    except ReaderError:
        raise StudyError(origin, ["holds control characters; a study is a YAML text file"]) from None
    try:
        node = loader.get_single_node()
        if node is None:
            raise StudyError(origin, ["is empty; a study needs at least base, schedule, sources, tasks, experiments"])
        reader = _Reader(loader)
        value = reader.value(node, ())
    except yaml.MarkedYAMLError as fault:
        raise StudyError(origin, [_yaml_fault(fault)]) from None
    except (yaml.YAMLError, ValueError, RecursionError) as fault:
        raise StudyError(origin, [f"not valid YAML: {str(fault).splitlines()[0]}"]) from None
    if reader.faults:
        raise StudyError(origin, reader.faults)
    if not isinstance(value, dict):
        raise StudyError(origin, [f"line 1: a study is a mapping, this is a {type(value).__name__}"])
    return Document(value, reader.lines)


def _yaml_fault(fault: yaml.MarkedYAMLError) -> str:
    mark = fault.problem_mark or fault.context_mark
    where = f"line {mark.line + 1}: " if mark else ""
    return f"{where}not valid YAML: {fault.problem or fault.context}"


class _Reader:
    """Walks a node tree, building values; notes lines and faults."""

    def __init__(self, loader: yaml.SafeLoader):
        self._loader = loader
        self._count = 0
        self.lines: dict[Position, int] = {}
        self.faults: list[str] = []

    def value(self, node: yaml.Node, path: Position) -> Any:
        self._count += 1
        line = node.start_mark.line + 1
        if self._count > MAX_VALUES or len(path) > MAX_DEPTH:
            raise ValueError(f"more than {MAX_VALUES:,} values or {MAX_DEPTH} levels (do anchors multiply?)")
        self.lines[path] = line
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._loader.construct_object(node)

    def _mapping(self, node: yaml.MappingNode, path: Position) -> dict[Any, Any]:
        if node.tag != "tag:yaml.org,2002:map":
            raise ValueError(f"the tag {node.tag} is not supported")
        result: dict[Any, Any] = {}
        merged: list[dict[Any, Any]] = []
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag.endswith(":merge"):
                merged += self._merged(value_node, path, line)
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self.faults.append(f"line {line}: a key must be plain text")
                continue
            key = str(key_node.value)
            if key in result:
                self.faults.append(f"line {line}, {dotted((*path, key))}: this key appears twice")
            result[key] = self.value(value_node, (*path, key))
            self.lines[(*path, key)] = line
        own = dict(result)
        for given in reversed(merged):  # of several the first counts, and a mapping's own keys before all
            result |= given
        return result | own

    def _merged(self, node: yaml.Node, path: Position, line: int) -> list[dict[Any, Any]]:
        """The mappings that `<<` puts into the one at `path`; their values count and are bounded as if written here."""
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        if not all(isinstance(given, yaml.MappingNode) for given in nodes):
            self.faults.append(f"line {line}: `<<` takes a mapping, or a list of mappings")
            return []
        return [self.value(given, path) for given in nodes]
