"""Finding and reading rows: mirrors, own files, and what is wrong with a file, by line and column."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from regimen.data.sources import Where, parts_of, rows_of
from regimen.errors import DataError, SourceMissing
from regimen.study import load_study
from regimen.study.sources import Form, Source
from tests.support.row_files import write

TEXT = Form(text="{{ text }}")


def source(**fields: Any) -> Source:
    return Source.model_validate({"form": TEXT, **fields})


def read(one: Source, where: Where, split: str = "train") -> list[dict[str, Any]]:
    return [row for _, _, row in rows_of(parts_of("it", one, split, where))]


ROWS = [{"text": f"row {i}", "label": i % 3} for i in range(1300)]


def test_a_mirror_is_read_whatever_its_format(tmp_path: Path) -> None:
    write(tmp_path / "org/name/train.jsonl", ROWS)
    (tmp_path / "org/other/cfg").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "org/other/cfg/train.parquet")
    assert read(source(hub="org/name"), Where(data=tmp_path)) == ROWS
    assert read(source(hub="org/other", config="cfg"), Where(data=tmp_path)) == ROWS
    assert read(source(hub="org/name", config="default"), Where(data=tmp_path)) == ROWS, (
        "a config folder may be left out"
    )


def test_several_configs_are_read_one_after_another(tmp_path: Path) -> None:
    for config in ("a", "b"):
        write(tmp_path / f"org/name/{config}/train.jsonl", [{"text": config}])
    parts = parts_of("it", source(hub="org/name", config=["a", "b"]), "train", Where(data=tmp_path))
    assert [(part, number, row["text"]) for part, number, row in rows_of(parts)] == [
        ("org/name/a/train.jsonl", 0, "a"),
        ("org/name/b/train.jsonl", 0, "b"),
    ]


def test_own_files_are_found_beside_the_study(tmp_path: Path) -> None:
    write(tmp_path / "mine.jsonl", ROWS)
    (tmp_path / "mine.csv").write_text('text,label\nhello,1\n"with, comma",0\n')
    assert read(source(files=["mine.jsonl"]), Where(here=tmp_path)) == ROWS
    assert read(source(files=["mine.csv"]), Where(here=tmp_path)) == [
        {"text": "hello", "label": "1"},
        {"text": "with, comma", "label": "0"},
    ]
    with pytest.raises(SourceMissing, match="source 'it': no file 'absent.jsonl' in "):
        read(source(files=["absent.jsonl"]), Where(here=tmp_path))


def test_a_missing_source_names_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(
        SourceMissing, match=r"'it' is not in the mirror: no .*org/name/cfg/train.jsonl .*regimen mirror"
    ):
        read(source(hub="org/name", config="cfg"), Where(data=tmp_path))


def jsonl(lines: list[bytes]) -> bytes:
    return b"\n".join(lines) + b"\n"


GOOD = [json.dumps(row).encode() for row in ROWS[:600]]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "the file is empty"),
        (jsonl([*GOOD, b'{"text": "cut'])[:-1], r"line 601: not JSON.*the file ends inside this line"),
        (jsonl([*GOOD, b"not json", GOOD[0]]), "line 601: not JSON: Expecting value at column 1"),
        (jsonl([*GOOD, b'{"text": "\xff\xfe", "label": 1}']), r"line 601: not UTF-8 at byte 10 \(0xff\)"),
        (jsonl([*GOOD, b"[1, 2]"]), "line 601: a list, not an object"),
    ],
    ids=["empty", "truncated", "no json", "no utf-8", "no object"],
)
def test_a_broken_file_is_named_to_the_line(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "org/name/train.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(DataError, match=says):
        read(source(hub="org/name"), Where(data=tmp_path))


def test_an_unreadable_parquet_is_named(tmp_path: Path) -> None:
    path = tmp_path / "org/name/train.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(ROWS), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"org/name/train.parquet: cannot be read"):
        read(source(hub="org/name"), Where(data=tmp_path))


def test_every_source_of_the_study_has_mirrored_rows_that_render(mirrored_rows: Path) -> None:
    """Stand-ins included; SOURCES.md beside the rows says which they are."""
    from regimen.data.forms import render, render_text

    sources = load_study("qwen2-finance").sources
    for name, one in sources.items():
        split = one.split or (one.held_out.split if one.held_out else None)
        assert split
        rows = read(one, Where(data=mirrored_rows), split)[:50]
        assert rows, name
        for row in rows:
            if one.form.prompt:
                result = render(one.form, row)
                assert result.answer.strip()
            elif one.documents is None:
                render_text(one.form, row)
