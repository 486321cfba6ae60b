"""The reference is made from the code, whole, and what editors check by agrees with what is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from scripts.make_reference import FOLDER, pages
from scripts.run_folder_words import COLUMN_WORDS, FILE_WORDS, ITEM_WORDS, PLACES
from typer.testing import CliRunner

from regimen.cli.app import app
from regimen.results import layout
from regimen.results.item_rows import ITEM_SCHEMA
from regimen.results.tables import COLUMNS
from regimen.study.file import StudyFile
from regimen.study.json_schema import FILE_NAME, FOR_EDITORS, plain_name, schema_text, study_schema
from regimen.study.loading import packaged_studies
from regimen.study.meanings import MEANINGS
from regimen.study.positions import read_document
from tests.support.checkout import ROOT
from tests.support.page_snippets import FOUND, complete

STUDIES = [*packaged_studies().values(), *sorted((ROOT / "examples").glob("*.yaml"))]


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = study_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("name", list(pages()))
def test_pages_are_as_the_code_is(name: str) -> None:
    there = (FOLDER / name).read_text(encoding="utf-8")
    assert there == pages()[name], "stale: run `python -m scripts.make_reference`"


def test_every_key_of_a_study_has_a_meaning_and_no_meaning_is_left_over() -> None:
    schema: dict[str, Any] = StudyFile.model_json_schema()
    models = {"StudyFile": schema, **schema["$defs"]}
    keys = {plain_name(name): set(model.get("properties", {})) for name, model in models.items() if name != "Vary"}
    assert {name: set(words) for name, words in MEANINGS.items()} == keys, "study/meanings.py"


def test_every_file_and_column_has_words_and_no_words_are_left_over() -> None:
    names = {name for name, value in vars(layout).items() if name.isupper() and isinstance(value, str)}
    assert set(FILE_WORDS) == names == {name for group in PLACES.values() for name in group}
    assert list(COLUMN_WORDS) == list(COLUMNS)
    assert list(ITEM_WORDS) == ITEM_SCHEMA.names


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_studies_that_load_fit_the_schema(path: Path, validator: Draft202012Validator) -> None:
    document = read_document(path.read_bytes(), path.name).value
    assert [fault.message for fault in validator.iter_errors(document)] == []


@pytest.mark.parametrize(("page", "piece"), FOUND)
def test_pieces_on_pages_fit_the_schema(page: str, piece: str, validator: Draft202012Validator) -> None:
    document: Any = complete(read_document(piece.encode(), page).value)
    assert [fault.message for fault in validator.iter_errors(document)] == []


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("batch", "block"), 1),
        (("batch", "blocks"), 64),
        (("sources", "reviews", "leaks"), "none"),
        (("tasks", "reviews", "scoring"), "likelihood"),
        (("experiments", 1, "stepz"), 5),
        (("experiments", 1, "vary"), {"rank": [1, 2]}),
    ],
)
def test_what_is_refused_does_not_fit(where: tuple[Any, ...], value: object, validator: Draft202012Validator) -> None:
    document: Any = read_document((ROOT / "examples" / "reviews.yaml").read_bytes(), "reviews.yaml").value
    inside = document
    for key in where[:-1]:
        inside = inside[key] if not isinstance(inside, dict) else inside.setdefault(key, {})
    inside[where[-1]] = value
    assert list(validator.iter_errors(document))


def test_the_command_prints_the_schema_and_a_draft_names_it(tmp_path: Path) -> None:
    printed = CliRunner().invoke(app, ["schema"])
    assert printed.stdout == schema_text()
    rows = tmp_path / "rows.csv"
    rows.write_text("text,label\n" + "".join(f"row number {n} of some words,{n % 2}\n" for n in range(80)))
    made = CliRunner().invoke(app, ["init", str(rows), "--to", str(tmp_path / "study.yaml")])
    assert made.exit_code == 0, made.output
    assert (tmp_path / "study.yaml").read_text().splitlines()[0] == FOR_EDITORS
    assert (tmp_path / FILE_NAME).read_text() == schema_text()
