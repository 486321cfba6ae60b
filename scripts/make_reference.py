"""Writes docs/reference: study keys, metrics, commands, errors, files of a run folder, keys of findings.json.

python -m scripts.make_reference

Everything comes from the code; `tests/docs/test_reference.py` fails where a page is stale.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import typer
from pydantic.json_schema import JsonSchemaValue
from scripts.run_folder_words import COLUMN_WORDS, FILE_WORDS, ITEM_WORDS, PLACES

from regimen import errors
from regimen.cli import commands
from regimen.cli.app import app
from regimen.results import layout
from regimen.results.item_rows import ITEM_SCHEMA
from regimen.results.tables import COLUMNS
from regimen.study import file, questions, schema, sources, tasks
from regimen.study.json_schema import FILE_NAME, plain_name, schema_text, study_schema
from regimen.study.metrics import METRICS

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
MADE = "<!-- Made from the code by `python -m scripts.make_reference`; do not edit. -->\n"
Schema = JsonSchemaValue


def pages() -> dict[str, str]:
    """{file name: text} of all pages."""
    return {
        "study.md": study_page(),
        "metrics.md": metrics_page(),
        "commands.md": commands_page(),
        "errors.md": errors_page(),
        "run-folder.md": run_folder_page(),
        "findings.md": findings_page(),
        FILE_NAME: schema_text(),
    }


def study_page() -> str:
    """Every key of a study file."""
    whole = study_schema()
    parts = {"StudyFile": whole, **whole["$defs"]}
    lines = [
        "# Study keys",
        MADE,
        "Every key of a study file. `regimen schema` prints the same as a JSON schema, by which editors complete and",
        f"check ([`{FILE_NAME}`]({FILE_NAME})). A key without a default has to be there. [A study of your own]"
        "(../your-own-study.md) explains them in order.",
    ]
    order = ["StudyFile", *_order(whole)]
    for name in order:
        part = parts[name]
        lines += ["", f"## {_heading(name)}", "", _about(name, part), "", "| key | type | default | meaning |"]
        lines += ["|---|---|---|---|"]
        required = part.get("required", [])
        for key, value in part.get("properties", {}).items():
            if "description" not in value and "$ref" in value and key == "sharegpt":
                continue
            default = "" if key in required else _default(value)
            lines.append(f"| `{key}` | {_type(value)} | {default} | {_cell(value.get('description', ''))} |")
    return "\n".join(lines) + "\n"


def _order(whole: Schema) -> list[str]:
    """The parts in the order in which they are first referred to."""
    found: list[str] = []

    def walk(value: object) -> None:
        if isinstance(value, dict):
            name = str(value.get("$ref", "")).removeprefix("#/$defs/")
            if name in parts and name not in found:
                found.append(name)
                walk(parts[name])
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    parts = whole["$defs"]
    assert isinstance(parts, dict)
    walk({key: value for key, value in whole.items() if key != "$defs"})
    return found


def _heading(name: str) -> str:
    return "A study" if name == "StudyFile" else plain_name(name)


def _about(name: str, part: Schema) -> str:
    """The docstring of the part's model."""
    modules = (file, schema, sources, tasks, questions)
    model = next((getattr(module, plain_name(name)) for module in modules if hasattr(module, plain_name(name))), None)
    text = inspect.getdoc(model) if model is not None and model.__doc__ else str(part.get("description", ""))
    return text or ""


def _type(value: Schema) -> str:
    """The type in words, with its limits."""
    if "$ref" in value:
        name = str(value["$ref"]).rpartition("/")[2]
        return f"[{plain_name(name)}](#{plain_name(name).lower()})"
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        options = value["enum"]
        assert isinstance(options, list)
        return " \\| ".join(f"`{option}`" for option in options)
    for key in ("anyOf", "oneOf"):
        if key in value:
            options = value[key]
            assert isinstance(options, list)
            return ", or ".join(dict.fromkeys(_type(option) for option in options if option.get("type") != "null"))
    kind = value.get("type")
    if kind == "array":
        items = value.get("items") or (value.get("prefixItems") or [None])[0]  # type: ignore[index]
        return f"list of {_type(items)}" if isinstance(items, dict) else "list"
    if kind == "object":
        patterns = value.get("patternProperties")
        inner = next(iter(patterns.values())) if isinstance(patterns, dict) else value.get("additionalProperties")
        return f"{{name: {_type(inner)}}}" if isinstance(inner, dict) and inner else "mapping"
    if isinstance(kind, list):
        return "value"
    names = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    return names.get(str(kind), "value") + _limits(value)


def _limits(value: Schema) -> str:
    words = []
    for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<")):
        if key in value:
            words.append(f"{sign} {value[key]:,}" if isinstance(value[key], int) else f"{sign} {value[key]:g}")
    return f" {', '.join(words)}" if words else ""


def _default(value: Schema) -> str:
    if "default" not in value or value["default"] is None:
        return "none" if value.get("default", "") is None else ""
    default = value["default"]
    if isinstance(default, dict) and len(default) > 2:
        return "as below"
    return f"`{json.dumps(default, ensure_ascii=False)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def metrics_page() -> str:
    """The table of metrics."""
    lines = [
        "# Metrics",
        MADE,
        "The metrics that a task may name (`regimen metrics`). The first of a task is its headline. A metric over",
        "items is their mean, or is computed over all of them together. `lm_eval` tasks take the harness's own;",
        "`module:function` is [a metric of your own](../your-own-study.md#a-metric-of-your-own), `verdicts:name` a",
        "judge's.",
        "",
        "| metric | scoring | better | over items | meaning |",
        "|---|---|---|---|---|",
    ]
    for metric in METRICS.values():
        over = "mean" if metric.mean else "together"
        scorings = ", ".join(metric.scorings)
        lines.append(f"| `{metric.name}` | {scorings} | {metric.better} | {over} | {_cell(metric.about)} |")
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """All commands with their arguments and options."""
    lines = [
        "# Commands",
        MADE,
        "Exit codes: 0 done; 1 some experiments failed; 2 bad input, in one message on stderr;",
    ]
    lines += ["3 `gate`: not promising; 130 interrupted. `--json` prints one JSON document on stdout."]
    for command in commands():
        doc = inspect.cleandoc(command.function.__doc__ or "")
        lines += ["", f"## regimen {command.name}", "", doc, "", f"    {command.example}", ""]
        rows = list(_parameters(command.name))
        if rows:
            lines += ["| argument or option | default | meaning |", "|---|---|---|", *rows]
    return "\n".join(lines) + "\n"


def _parameters(name: str) -> Iterator[str]:
    group = typer.main.get_command(app)
    command = vars(group)["commands"][name]
    for parameter in command.params:
        option = parameter.param_type_name == "option"
        if not option:
            shown = f"`{parameter.metavar or (parameter.name or '').upper()}`"
        else:
            metavar = "" if parameter.is_flag else f" {parameter.metavar or 'VALUE'}"
            shown = ", ".join(f"`{flag}{metavar}`" for flag in [*parameter.opts, *parameter.secondary_opts])
        default = parameter.default
        has = isinstance(default, str | int | float | Path) and not isinstance(default, bool) and not parameter.required
        yield f"| {shown} | {f'`{default}`' if has else ''} | {_cell(parameter.help or '')} |"


def errors_page() -> str:
    """The kinds of error."""
    lines = [
        "# Errors",
        MADE,
        "Every deliberate error is one sentence on stderr: the value, the limit, the remedy. No traceback is printed;",
        "one that you see is a defect. [Troubleshooting](../troubleshooting.md) explains messages that people meet.",
        "",
        "| error | exit code | meaning |",
        "|---|---|---|",
    ]
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.RegimenError):
            about = inspect.cleandoc(kind.__doc__ or "").partition("\n")[0]
            lines.append(f"| `{name}` | {kind.exit_code} | {_cell(about)} |")
    return "\n".join(lines) + "\n"


def run_folder_page() -> str:
    """The files of a run folder and their columns."""
    lines = [
        "# Files of a run folder",
        MADE,
        "A stage is done when its `DONE` is there, which is written last. The files beside it are read by their",
        "recorded digests, so that a damaged one is noticed. Everything but `stages/` can be made again from them.",
    ]
    for place, names in PLACES.items():
        lines += ["", f"## {place}", "", "| file | holds |", "|---|---|"]
        lines += [f"| `{getattr(layout, name)}` | {_cell(FILE_WORDS[name])} |" for name in names]
    lines += ["", f"## Columns of {layout.TABLE}", "", "| column | meaning |", "|---|---|"]
    lines += [f"| `{column}` | {_cell(COLUMN_WORDS[column])} |" for column in COLUMNS]
    lines += ["", f"## Columns of {layout.ITEM_ROWS}", "", "| column | type | meaning |", "|---|---|---|"]
    lines += [f"| `{field.name}` | {field.type} | {_cell(ITEM_WORDS[field.name])} |" for field in ITEM_SCHEMA]
    return "\n".join(lines) + "\n"


def findings_page() -> str:
    """The keys of findings.json, from its JSON schema."""
    text = (resources.files("regimen") / "analysis" / "findings.schema.json").read_text(encoding="utf-8")
    whole = json.loads(text)
    lines = [
        "# Keys of findings.json",
        MADE,
        str(whole["description"]),
        "[Findings](../findings.md) says what they mean.",
    ]
    for name, part in {"findings.json": whole, **whole["$defs"]}.items():
        keys = part.get("properties") or {key: {} for key in part.get("required", [])}
        if not keys:
            continue
        lines += [
            "",
            f"## {name}",
            "",
            str(part.get("description", "")),
            "",
            "| key | type | meaning |",
            "|---|---|---|",
        ]
        for key, value in keys.items():
            meaning = _cell(str(value.get("description", "")))
            lines.append(f"| `{key}` | {_finding_type(value, whole['$defs']) if value else ''} | {meaning} |")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n"


def _finding_type(value: Schema, parts: Schema) -> str:
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        part = parts[name]
        return f"[{name}](#{name})" if part.get("properties") or part.get("required") else _finding_type(part, parts)
    kind = value.get("type")
    if kind == "array" or (isinstance(kind, list) and "array" in kind):
        items = value.get("items")
        return f"list of {_finding_type(items, parts)}" if isinstance(items, dict) else "list"
    if isinstance(kind, list):
        return " or ".join(str(one) for one in kind)
    return _type(value)


def main() -> None:
    """Writes all pages."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
