"""Files as people have them: values stay as they are written, whatever the format, and what cannot be read is named."""

from __future__ import annotations

import gzip
import json
import math
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regimen.data.cleaning import Drops
from regimen.data.json_rows import _Stream
from regimen.data.rows import usable_rows
from regimen.data.sources import Where, parts_of, remarks, rows_of
from regimen.errors import DataError, SourceMissing
from regimen.study.sources import Source

ROWS = [{"q": f"Größe {n}", "a": str(n % 3)} for n in range(5)]


def source(*files: str, **fields: Any) -> Source:
    return Source.model_validate({"form": {"text": "{{ text }}"}, "files": files, **fields})


def read(folder: Path, *files: str, **fields: Any) -> list[dict[str, Any]]:
    return [row for _, _, row in rows_of(parts_of("it", source(*files, **fields), "train", Where(here=folder)))]


def shown(folder: Path, content: str, template: str, suffix: str = "jsonl") -> list[str]:
    """What a form's text shows of the rows."""
    (folder / f"x.{suffix}").write_text(content, encoding="utf-8")
    one = Source.model_validate({"files": [f"x.{suffix}"], "form": {"text": template}})
    return [row.text for row in usable_rows("it", one, "train", Where(here=folder), Drops())]


@pytest.mark.parametrize(
    "literal",
    ["2021-03-01", "2", "2.0", "2.50", "1e5", "-0.0", "123456789012345678901234567890", "007", "null", "NaN", "", "é"],
)
@pytest.mark.parametrize("quoted", [True, False])
def test_a_value_is_shown_as_it_is_written(literal: str, quoted: bool, tmp_path: Path) -> None:
    """Beside values of other kinds, by which a reader could guess the column's type."""
    if not quoted and literal in ("2021-03-01", "007", "null", "NaN", "", "é"):
        return
    written = json.dumps(literal) if quoted else literal
    others = ['{"v": 2.5}', '{"v": "2020-01-01"}', '{"v": 7}', '{"v": true}']
    content = "\n".join([*others, f'{{"v": {written}}}', '{"other": 1, "v": [1]}'])
    found = shown(tmp_path, content.rpartition("\n")[0], "<{{ v }}>")
    assert found[-1] == f"<{literal}>"


def test_a_column_may_change_its_type_after_ten_megabytes(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"q": "word " * 2000, "v": n} for n in range(1100)]
    rows += [{"q": "", "v": 0.5}, {"q": "", "v": None}, {"q": "", "v": ["x"]}, {"q": "", "v": {"b": "x"}}, {"tag": "t"}]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert read(tmp_path, "x.jsonl")[1095:] == rows[1095:]


def test_nan_is_a_fault_only_where_it_is_shown(tmp_path: Path) -> None:
    content = '{"t": "a", "v": 1.5}\n{"t": "b", "v": NaN}\n{"t": "c", "v": -Infinity}\n'
    assert shown(tmp_path, content, "{{ t }}") == ["a", "b", "c"]
    with pytest.raises(DataError, match="x.jsonl, row 1, column 'v': 'nan' is no finite number"):
        shown(tmp_path, content, "{{ t }} {{ v }}")
    with pytest.raises(DataError, match="row 0, column 'v': .*-inf is not text"):
        shown(tmp_path, '{"t": "c", "v": {"w": -Infinity}}\n', "{{ v.w }}")


def test_null_is_empty_inside_objects_too(tmp_path: Path) -> None:
    assert shown(tmp_path, '{"a": {"b": null, "c": [null]}}\n', "<{{ a.b }}{{ a.b | trim }}{{ a.c[0] }}>") == ["<>"]


def test_bytes_of_a_table_are_no_text(tmp_path: Path) -> None:
    pq.write_table(pa.table({"t": ["a"], "b": [b"\x00\xff"]}), tmp_path / "x.parquet")
    one = Source.model_validate({"files": ["x.parquet"], "form": {"text": "{{ t }}{{ b }}"}})
    with pytest.raises(DataError, match="x.parquet, row 0, column 'b': .* is no text: bytes"):
        list(usable_rows("it", one, "train", Where(here=tmp_path), Drops()))


def test_a_class_cell_of_a_csv_is_matched_as_it_is_written_first(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("t,code\na,0111\nb,111\nc,1\nd,1.0\n")
    form = {
        "prompt": "{{ t }}",
        "label": {"column": "code", "names": {"0111": "padded", "111": "plain", "1": "one"}},
    }
    one = Source.model_validate({"files": ["x.csv"], "form": form})
    texts = [row.text for row in usable_rows("it", one, "train", Where(here=tmp_path), Drops())]
    assert texts == ["a padded", "b plain", "c one", "d one"]


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def parted(mark: str, encoding: str = "utf-8", end: str = "\n") -> bytes:
    cells = [["q", "a"], *([row["q"], row["a"]] for row in ROWS)]
    return "".join(mark.join(row) + end for row in cells).encode(encoding)


def zstd(content: bytes) -> bytes:
    return pa.compress(content, codec="zstd", asbytes=True)


FILES: dict[str, Callable[[], bytes]] = {
    "x.jsonl": lambda: lines(ROWS),
    "x.NDJSON": lambda: b"\xef\xbb\xbf" + lines(ROWS).replace(b"\n", b"\r\n\r\n"),
    "lines.json": lambda: lines(ROWS)[:-1],
    "list.json": lambda: json.dumps(ROWS, indent=2).encode(),
    "list.jsonl": lambda: json.dumps(ROWS).encode(),
    "wrapped.json": lambda: json.dumps({"version": [1, 2], "about": {"data": []}, "data": ROWS}).encode(),
    "columns.json": lambda: json.dumps({key: [row[key] for row in ROWS] for key in ROWS[0]}).encode(),
    "pandas.json": lambda: json.dumps({key: {str(n): row[key] for n, row in enumerate(ROWS)} for key in "qa"}).encode(),
    "wide.jsonl": lambda: lines(ROWS).decode().encode("utf-16"),
    "x.jsonl.gz": lambda: gzip.compress(lines(ROWS)),
    "x.JSON.GZ": lambda: gzip.compress(json.dumps(ROWS).encode()),
    "x.jsonl.zst": lambda: zstd(lines(ROWS)),
    "x.csv": lambda: parted(","),
    "X.CSV": lambda: parted(","),
    "semicolon.csv": lambda: parted(";"),
    "tab.csv": lambda: parted("\t"),
    "x.tsv": lambda: parted("\t"),
    "wide.csv": lambda: parted(";", "utf-16", "\r\n"),
    "big-endian.csv": lambda: b"\xfe\xff" + parted(",", "utf-16-be"),
    "mac.csv": lambda: parted(",", end="\r"),
    "x.csv.gz": lambda: gzip.compress(parted(",")),
}


@pytest.mark.parametrize("name", FILES)
def test_the_same_rows_whatever_the_file(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(FILES[name]())
    assert read(tmp_path, name) == ROWS


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.jsonl.gz", gzip.compress(lines(ROWS), mtime=0)[:-20], "damaged or cut short"),
        ("x.jsonl.zst", zstd(lines(ROWS * 100))[:-9], "cut short|cannot be read"),
        ("x.jsonl.gz", lines(ROWS), "the name says that gzip compressed the file"),
        ("x.txt", gzip.compress(b"text", mtime=0), "gzip compressed the file; give its name the ending .gz"),
        ("x.xlsx", b"PK", "a .xlsx file is not read; use .jsonl"),
        ("x.parquet.gz", gzip.compress(b"PAR1", mtime=0), "a .gz file is not read"),
        ("x.json", b"  \n ", "the file holds no row"),
        ("x.json", b'[{"q": 1}, {"q": 2}', "line 1: not JSON: expecting , or ]; the file ends"),
        ("x.json", b'[{"q": 1},\n {"q": tru}, {"q": 3}' + b" " * 40 + b"]", "line 2: not JSON"),
        ("x.json", b'[{"q": 1},\n [2]]', "line 2, item 1: a list, not an object with columns"),
        ("x.json", b'[{"q": 1}]\n[{"q": 2}]', "line 2: not JSON: something follows the end of the list"),
        ("x.json", b'{"a": [{"q": 1}], "b": [{"q": 2}]}', r"several lists of objects \(a, b\); name one with `field`"),
        ("x.json", b'{"q": [1, 2], "a": [1]}', "columns that do not fit together"),
        ("x.jsonl", b'{"v": ' + b"9" * 5000 + b"}", "line 1: not JSON: Exceeds the limit"),
        ("x.jsonl", b"[" * 100_000, "not JSON"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_cannot_be_read_is_said_in_a_sentence(name: str, content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=says) as caught:
        read(tmp_path, name)
    assert str(caught.value).startswith(name)
    assert "\n" not in str(caught.value)


def test_field_names_the_list(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps({"train": ROWS[:2], "test": ROWS[2:], "n": 1}))
    assert read(tmp_path, "x.json", field="test") == ROWS[2:]
    with pytest.raises(DataError, match="no list of objects 'dev' .*; its lists of objects are train, test"):
        read(tmp_path, "x.json", field="dev")
    (tmp_path / "y.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match="`field: dev` is for JSON files"):
        read(tmp_path, "y.csv", field="dev")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.dictionaries(st.sampled_from("abc"), json_values, max_size=3)), indent=st.sampled_from([None, 1])
)
def test_a_list_read_piece_by_piece_is_the_list(
    rows: list[dict[str, Any]], indent: int | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Python's own `json` is the oracle; pieces of one character meet every place where a file can be parted."""
    text = json.dumps({"x": 12, "rows": rows, "y": "z"}, indent=indent, ensure_ascii=False)
    stream = _Stream("x", Path("x"))
    stream.pieces = iter(text)
    stream.go_to("rows")
    assert [value for _, value in stream.items()] == rows


def test_a_long_list_is_not_held_in_memory(tmp_path: Path) -> None:
    one = json.dumps({"q": "word " * 400, "a": list(range(20))})
    (tmp_path / "x.json").write_text('{"data": [' + ",".join([one] * 15_000) + "]}")
    size = (tmp_path / "x.json").stat().st_size
    tracemalloc.start()
    rows = rows_of(parts_of("it", source("x.json"), "train", Where(here=tmp_path)))
    assert sum(1 for _ in rows) == 15_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < size / 3, (peak, size)


def documents(folder: Path) -> None:
    for name, text in {"b/two.txt": "two\r\nlines", "b/.hidden.txt": "no", "one.TXT": "one", "z/x.pdf": "%PDF"}.items():
        (folder / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "data" / name).write_bytes(text.encode())


@pytest.mark.parametrize("name", ["data", "data/", "data/**/*"])
def test_a_folder_or_pattern_of_texts_is_a_document_a_file(name: str, tmp_path: Path) -> None:
    documents(tmp_path)
    parts = parts_of("it", source(name), "train", Where(here=tmp_path))
    assert list(rows_of(parts)) == [
        ("data/b/two.txt", 0, {"text": "two\nlines", "file": "data/b/two.txt"}),
        ("data/one.TXT", 0, {"text": "one", "file": "data/one.TXT"}),
    ]
    assert remarks(parts) == [f"{name}: files that are not read: 1 .pdf"]


def test_a_text_named_by_itself_is_a_row_a_line(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(b"one\r\n\ntwo")
    assert read(tmp_path, "x.txt") == [{"text": "one"}, {"text": ""}, {"text": "two"}]
    (note,) = remarks(parts_of("it", source("x.txt"), "train", Where(here=tmp_path)))
    assert "each line is a row" in note


def test_rows_of_a_pattern_bear_the_name_of_their_file(tmp_path: Path) -> None:
    for name, rows in (("b.jsonl", ROWS[:2]), ("a.jsonl", ROWS[2:])):
        (tmp_path / name).write_bytes(lines(rows))
    (tmp_path / "odd[1].jsonl").write_bytes(lines(ROWS))
    found = [
        (name, number) for name, number, _ in rows_of(parts_of("it", source("?.jsonl"), "train", Where(here=tmp_path)))
    ]
    assert found == [("a.jsonl", 0), ("a.jsonl", 1), ("a.jsonl", 2), ("b.jsonl", 0), ("b.jsonl", 1)]
    assert read(tmp_path, str(tmp_path / "?.jsonl")) == ROWS[2:] + ROWS[:2]
    assert read(tmp_path, "odd[1].jsonl") == ROWS, "a name that is there is no pattern"
    with pytest.raises(SourceMissing, match="source 'it': no file matches 'c\\*.jsonl' in "):
        read(tmp_path, "c*.jsonl")


def test_held_out_files_are_no_part_of_a_pattern(tmp_path: Path) -> None:
    for name, rows in (("train.jsonl", ROWS[:2]), ("test.jsonl", ROWS[2:])):
        (tmp_path / name).write_bytes(lines(rows))
    one = source("*.jsonl", held_out={"files": ["test.jsonl"]})
    parts = parts_of("it", one, "train", Where(here=tmp_path))
    assert [row for _, _, row in rows_of(parts)] == ROWS[:2]
    assert remarks(parts) == ["*.jsonl: 1 of its files are held out and not trained on"]


def test_texts_and_tables_in_one_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/README.md").write_text("about")
    (tmp_path / "data/x.jsonl").write_bytes(lines(ROWS))
    with pytest.raises(SourceMissing, match=r"'data' holds files of text and tables of rows \(.jsonl, .md\); name one"):
        read(tmp_path, "data")
    assert read(tmp_path, "data/*.jsonl") == ROWS


def test_what_is_guessed_of_a_layout_is_said(tmp_path: Path) -> None:
    for name in ("semicolon.csv", "wrapped.json", "columns.json", "x.csv", "list.json", "x.tsv"):
        (tmp_path / name).write_bytes(FILES[name]())
    names = ("semicolon.csv", "wrapped.json", "columns.json", "x.csv", "list.json", "x.tsv")
    assert remarks(parts_of("it", source(*names), "train", Where(here=tmp_path))) == [
        "semicolon.csv: its columns are parted by ;",
        "wrapped.json: its rows are the list 'data'",
        "columns.json: the file is read as a table by columns",
    ]


def test_conll_sentences(tmp_path: Path) -> None:
    """The layout of CoNLL-2003 and, with comments, of MultiCoNER."""
    text = "-DOCSTART- -X- O O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\n\n"
    text += "# id 7 domain=en\n# NN O O\nAnn NNP B-NP B-PER\n"
    (tmp_path / "x.conll").write_text(text)
    assert read(tmp_path, "x.conll") == [
        {"tokens": ["EU", "rejects"], "tags": ["B-ORG", "O"]},
        {"tokens": ["#", "Ann"], "tags": ["O", "B-PER"]},
    ]
    (tmp_path / "y.conll").write_text("EU B-ORG\nrejects\n")
    with pytest.raises(DataError, match="y.conll, line 2: 1 columns, the lines before have 2"):
        read(tmp_path, "y.conll")


def test_a_folder_saved_by_datasets(tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict

    rows = [{**row, "when": "2021-03-01", "n": None if n else 2.5} for n, row in enumerate(ROWS)]
    Dataset.from_list(rows).save_to_disk(str(tmp_path / "one"), num_shards=2)
    DatasetDict({"train": Dataset.from_list(rows), "test": Dataset.from_list(rows[:1])}).save_to_disk(
        str(tmp_path / "both")
    )
    assert read(tmp_path, "one") == rows
    assert read(tmp_path, "both/test") == rows[:1]
    with pytest.raises(DataError, match="both: the folder holds several splits; name one of both/train, both/test"):
        read(tmp_path, "both")


def test_arrow_in_both_of_its_layouts(tmp_path: Path) -> None:
    table = pa.Table.from_pylist(ROWS)
    for name, writer in (("file.arrow", pa.ipc.new_file), ("stream.arrow", pa.ipc.new_stream)):
        with writer(tmp_path / name, table.schema) as out:
            out.write_table(table, max_chunksize=2)
        assert read(tmp_path, name) == ROWS


def test_a_table_is_read_as_it_is(tmp_path: Path) -> None:
    rows = [{"n": 2**60, "x": {"y": [1, None]}, "f": 0.5, "t": None}, {"n": None, "x": None, "f": math.inf, "t": "é"}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.parquet")
    assert read(tmp_path, "x.parquet") == rows
