"""Faults of rows and files, whatever the format: one clear error with its place, or a drop counted by a stated rule."""

from __future__ import annotations

import csv
import io
import json
import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from regimen.data.cleaning import Drops
from regimen.data.rows import usable_rows
from regimen.data.sources import Where
from regimen.errors import DataError
from regimen.study.sources import Source
from tests.support.commands import refused
from tests.support.studies import ON_THE_PACKAGED_BASE

FORM = {"prompt": "{{ text }}\nMood:", "label": {"column": "label", "names": ["bad", "good"]}}
GOOD = [{"text": f"good row {i}", "label": i % 2} for i in range(700)]  # more than one batch of rows


def jsonl(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def comma(rows: list[dict[str, Any]]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def parquet(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


FORMATS = {"jsonl": jsonl, "csv": comma, "parquet": parquet}
every_format = pytest.mark.parametrize("suffix", FORMATS)


def read(content: bytes, suffix: str, folder: Path, form: dict[str, Any] | None = None) -> tuple[list[str], Drops]:
    (folder / f"x.{suffix}").write_bytes(content)
    source = Source.model_validate({"files": [f"x.{suffix}"], "form": form or FORM})
    drops = Drops()
    return [row.text for row in usable_rows("it", source, "train", Where(here=folder), drops)], drops


def fault(content: bytes, suffix: str, folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        read(content, suffix, folder)
    said = str(caught.value)
    assert "\n" not in said
    return said


@every_format
@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"txt": "a", "label": 0}, "row 0, column 'text': 'label, txt' are the row's columns; this one is missing"),
        ({"text": "a", "lable": 0}, "row 0, column 'label': \"['lable', 'text']\" is what the row has; the label's "
         "column is missing"),
    ],
    ids=["prompt", "label"],
)  # fmt: skip
def test_a_wrong_column_is_named_beside_those_there_are(
    suffix: str, row: dict[str, Any], says: str, tmp_path: Path
) -> None:
    assert fault(FORMATS[suffix]([row]), suffix, tmp_path) == f"source 'it', x.{suffix}, {says}"


@every_format
@pytest.mark.parametrize(("label", "shown"), [(7, "7"), (-1, "-1"), (None, "None")])
def test_a_label_out_of_range_is_named_with_its_row(suffix: str, label: int, shown: str, tmp_path: Path) -> None:
    said = fault(FORMATS[suffix]([*GOOD, {"text": "odd", "label": label}]), suffix, tmp_path)
    is_text = suffix == "csv"  # a cell of a CSV may be a name; one without anything is no null
    named = " and none of bad, good" if is_text and label is not None else ""
    shown = "" if is_text and label is None else shown
    assert said == f"source 'it', x.{suffix}, row 700, column 'label': '{shown}' is not a class id from 0 to 1{named}"


DROPS = [
    ("", "empty"),
    (" \t ", "empty"),
    (None, "empty"),
    ("n\x00ul", "NUL character"),
    ("y" * 10_000_000, "too long"),
]


@every_format
@pytest.mark.parametrize(("text", "reason"), DROPS, ids=["empty", "blank", "missing", "nul", "10MB"])
def test_a_row_without_usable_text_is_a_counted_drop(
    suffix: str, text: str | None, reason: str, tmp_path: Path
) -> None:
    rows = [*GOOD[:300], {"text": text, "label": 1}, *GOOD[300:]]
    texts, drops = read(FORMATS[suffix](rows), suffix, tmp_path)
    assert len(texts) == 700, "the rows after it are read"
    assert (drops.rows, drops.counts) == (701, {reason: 1})
    entry = drops.entries[0]
    assert (entry["file"], entry["row"], entry["reason"]) == (f"x.{suffix}", 300, reason)
    assert entry["detail"].startswith("column 'text': ")
    assert len(entry["detail"]) <= 200


def test_one_empty_column_of_several_is_no_empty_row(tmp_path: Path) -> None:
    form = {"prompt": "{{ given }}\n{{ asked }}", "answer": "{{ said }}"}
    rows = [{"given": "", "asked": "why?", "said": "so"}, {"given": "", "asked": " ", "said": "so"}]
    texts, drops = read(jsonl(rows), "jsonl", tmp_path, form)
    assert (texts, drops.counts) == (["\nwhy? so"], {"empty": 1})


UTF8 = {
    "jsonl": (jsonl(GOOD) + b'{"text": "\xff\xfe", "label": 1}\n', "x.jsonl, line 701: not UTF-8 at byte 10 (0xff)"),
    "csv": (comma(GOOD) + b"bad \xff\xfe,1\n", "x.csv, line 702: not UTF-8 at byte 4 (0xff)"),
}


@pytest.mark.parametrize("suffix", UTF8)
def test_invalid_utf8_is_named_to_the_byte(suffix: str, tmp_path: Path) -> None:
    content, says = UTF8[suffix]
    assert fault(content, suffix, tmp_path) == says


def test_invalid_utf8_in_parquet_is_named_to_the_row(tmp_path: Path) -> None:
    offsets = b"".join(n.to_bytes(4, "little") for n in (0, 2, 4, 5))
    texts = pa.Array.from_buffers(pa.string(), 3, [None, pa.py_buffer(offsets), pa.py_buffer(b"oko\xffk")])
    out = io.BytesIO()
    pq.write_table(pa.table({"label": [0, 1, 1], "text": texts}), out)
    assert fault(out.getvalue(), "parquet", tmp_path) == "x.parquet, row 1, column 'text': not UTF-8 at byte 1"


def test_half_a_character_is_named(tmp_path: Path) -> None:
    said = fault(jsonl(GOOD) + b'{"text": "\\ud83d", "label": 1}\n', "jsonl", tmp_path)
    assert said == "x.jsonl, line 701, column 'text': \\ud83d is half of a character (a lone surrogate)"


@pytest.mark.parametrize(
    ("suffix", "says"),
    [
        ("jsonl", "x.jsonl, line 700: not JSON: Unterminated string starting at at column 10; the file ends inside "
         "this line (was it cut short?)"),
        ("csv", "x.csv, line 701: 1 cells, the header names 2 columns"),
        ("parquet", "x.parquet: cannot be read (Parquet magic bytes not found in footer."),
    ],
)  # fmt: skip
def test_a_truncated_file_is_no_shorter_data_set(suffix: str, says: str, tmp_path: Path) -> None:
    said = fault(FORMATS[suffix](GOOD)[: -len('12", "label": 1}\n') if suffix == "jsonl" else -3], suffix, tmp_path)
    assert said.startswith(says)


def test_a_csv_cut_inside_quotes_is_named(tmp_path: Path) -> None:
    said = fault(comma(GOOD) + b'"a long, quoted', "csv", tmp_path)
    assert said.startswith("x.csv, line 702: unexpected end of data (is a quotation mark left open")


@every_format
def test_zero_rows_left_is_an_error_with_its_counts(suffix: str, tmp_path: Path) -> None:
    rows = [{"text": " ", "label": 1}, {"text": "n\x00", "label": 0}, {"text": "", "label": 1}]
    said = fault(FORMATS[suffix](rows), suffix, tmp_path)
    assert said == "source 'it': none of its 3 rows is left for train (1 NUL character, 2 empty)"


def test_files_without_a_row_are_named(tmp_path: Path) -> None:
    for suffix in FORMATS:
        assert fault(b"", suffix, tmp_path) == f"x.{suffix}: the file is empty"
    out = io.BytesIO()
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), out)
    assert fault(out.getvalue(), "parquet", tmp_path) == "x.parquet: the file holds no row"
    assert fault(b"text,label\n", "csv", tmp_path).startswith("source 'it': none of its 0 rows is left")


def test_cells_of_a_csv_stay_what_they_are_but_for_the_labels(tmp_path: Path) -> None:
    """A guess of types would read 007 as 7, NA as nothing, 12.50 as 12.5, and the labels as floats for one gap."""
    content = b'text,label\n007,1\nNA,0\n"12.50",1\nnull,0\n1e5,1\n'
    texts, _ = read(content, "csv", tmp_path)
    assert [text.partition("\n")[0] for text in texts] == ["007", "NA", "12.50", "null", "1e5"]
    assert [text.rpartition(" ")[2] for text in texts] == ["good", "bad", "good", "bad", "good"]


def test_a_csv_that_names_a_column_twice_is_refused(tmp_path: Path) -> None:
    said = fault(b"text,text,label\na,b,1\n", "csv", tmp_path)
    assert said == "x.csv, line 1: a column name stands twice among text, text, label"


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    for suffix in ("jsonl", "csv"):
        assert len(read(b"\xef\xbb\xbf" + FORMATS[suffix](GOOD), suffix, tmp_path)[0]) == 700


def test_the_readers_own_log_stays_silent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        fault(UTF8["jsonl"][0], "jsonl", tmp_path)
    assert [record.message for record in caplog.records if record.name.startswith("datasets")] == []


STUDY = (
    ON_THE_PACKAGED_BASE
    + """\
sources:
  mood:
    files: [mood.csv]
    form: {prompt: "{{ text }}", label: {column: label, names: [bad, good]}}
    held_out: {share: 0.1}
tasks: {mood: {title: Mood, group: moods, source: [mood], scoring: choice, metrics: [accuracy]}}
experiments: [{phase: tune, title: Tune, steps: 2, finetune: {tune: mood}}]
"""
)


def test_on_the_command_line_a_fault_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "mood.csv").write_text("text,label\nfine,1\nodd,7\n")
    said = refused("data", "mood", "--study", "study.yaml", cwd=tmp_path)
    where = "source 'mood', mood.csv, row 1, column 'label'"
    assert said == f"regimen: {where}: '7' is not a class id from 0 to 1 and none of bad, good\n"
