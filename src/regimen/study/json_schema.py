"""The JSON schema of a study file, for editors and for the reference.

Owns what the models cannot say of their own short forms, and the place of each key's meaning. Does not know YAML.
"""

from __future__ import annotations

import json

from pydantic.json_schema import JsonSchemaValue

from regimen.study.axes import ALL, ZIP, axis_names
from regimen.study.file import StudyFile
from regimen.study.meanings import MEANINGS, Meanings

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FILE_NAME = "regimen.schema.json"
FOR_EDITORS = f"# yaml-language-server: $schema={FILE_NAME}"
_FILLED_IN = {"Task": ("code", "verdicts"), "StudyFile": ("profile",)}
_INSIDE = ("CodeFile", "VerdictFile")


def study_schema() -> JsonSchemaValue:
    """The schema, JSON Schema 2020-12: every key with its type, limits, default and meaning, short forms included."""
    schema = StudyFile.model_json_schema()
    parts = schema["$defs"]
    for name in _INSIDE:
        del parts[name]
    for name, model in [("StudyFile", schema), *parts.items()]:
        _describe(model, MEANINGS.get(plain_name(name), {}), _FILLED_IN.get(name, ()))
    parts["Vary"] = _vary()
    parts["Form"]["properties"]["sharegpt"] = {"$ref": "#/$defs/Form/properties/messages"}
    parts["Task"]["required"] = ["title", "group"]
    parts["RunGroup"]["anyOf"] = [{"required": ["pretrain"]}, {"required": ["finetune"]}]
    return {"$schema": DIALECT, "title": "A regimen study", **{k: v for k, v in schema.items() if k != "title"}}


def schema_text() -> str:
    """The schema as a file."""
    return json.dumps(study_schema(), indent=1, ensure_ascii=False) + "\n"


def plain_name(model: str) -> str:
    """The name of a model without its parameters: "Question" of "Question_ContrastGroup_"."""
    return model.partition("_")[0]


def _describe(model: JsonSchemaValue, meanings: Meanings, left_out: tuple[str, ...]) -> None:
    for key in left_out:
        del model["properties"][key]
    for key, value in model.get("properties", {}).items():
        value.pop("title", None)
        if key in meanings:
            value["description"] = meanings[key]


def _vary() -> JsonSchemaValue:
    values = {"type": "array", "minItems": 1, "items": {"type": ["number", "string", "boolean", "object", "array"]}}
    axes: JsonSchemaValue = {name: values for name in axis_names()}
    axes["rows"] = {**values, "items": {"anyOf": [{"type": "integer", "minimum": 1}, {"const": ALL}]}}
    zipped = {"type": "object", "additionalProperties": False, "properties": dict(axes)}
    return {
        "description": "The axes of a group, crossed with each other; those under `zip` go together, value by value.",
        "type": "object",
        "additionalProperties": False,
        "minProperties": 1,
        "properties": {**axes, ZIP: {"anyOf": [zipped, {"type": "array", "items": zipped}]}},
    }
