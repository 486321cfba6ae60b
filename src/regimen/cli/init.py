"""`regimen init`: reads files and writes a first study that runs; marks its guesses."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regimen.errors import UsageError

if TYPE_CHECKING:
    from regimen.data.row import Row
    from regimen.study.drafting import DraftSource

LOOKED_AT = 2000  # rows of each file
FOR_TESTS = ("test", "valid", "validation", "dev", "eval", "heldout", "held-out")
PACKAGED = "regimen/tiny-qwen2"


def init(
    files: Annotated[list[Path], typer.Argument(help="Your files; train and test files of one kind are paired.")],
    to: Annotated[Path, typer.Option("--to", help="The study file to write.", dir_okay=False)] = Path("study.yaml"),
    base: Annotated[str, typer.Option("--base", help="A Hub id, or a folder with a model.")] = PACKAGED,
) -> None:
    """Look at files and write a first study that runs; guesses are marked.

    The study's JSON schema is put beside it, so that editors complete and check its keys.
    """
    from regimen.study import load_study
    from regimen.study.drafting import draft, source_name
    from regimen.study.json_schema import FILE_NAME, FOR_EDITORS, schema_text

    if to.exists():
        raise UsageError(f"{to} exists already; choose another file with --to")
    if to.suffix not in (".yaml", ".yml"):
        raise UsageError(f"--to {str(to)!r} is not a YAML file; give it a name such as study.yaml")
    sources = _sources(files, to.parent)
    origin = "packaged" if base == PACKAGED else "folder" if Path(base).is_dir() else "hub"
    text = draft(source_name(to.stem, ()), sources, base, origin)
    to.write_text(f"{FOR_EDITORS}\n{text}", encoding="utf-8")
    try:
        load_study(to)
    except Exception:
        to.unlink()
        raise
    to.with_name(FILE_NAME).write_text(schema_text(), encoding="utf-8")
    for source in sources:
        typer.echo(f"{source.name}: {source.kind}; {'; '.join(source.reasons)}")
    typer.echo(
        f"wrote {to}: look at the lines marked GUESS, then `regimen plan {to}` and `regimen run {to} --out runs/first`"
    )


def _sources(files: list[Path], home: Path) -> list[DraftSource]:
    """A source for each file, or for a file and the test file of the same columns and nearly the same name."""
    from regimen.data.guessing import guess
    from regimen.study.drafting import DraftSource, source_name

    looked = {file: _rows(file) for file in files}
    tests = _pairs(looked)
    sources: list[DraftSource] = []
    for file, rows in looked.items():
        if file in tests.values():
            continue
        guessed = guess(rows)
        if guessed is None:
            columns = ", ".join(rows[0])
            raise UsageError(f"{file}: none of its columns ({columns}) holds plain text; write the form by hand")
        test = tests.get(file)
        sources.append(
            DraftSource(
                name=source_name(_plain(file), [source.name for source in sources]),
                files=(_beside(file, home),),
                test_files=(_beside(test, home),) if test else (),
                form=guessed.form,
                kind=guessed.kind,
                reasons=guessed.reasons,
                rows=len(rows),
                row_characters=guessed.row_characters,
                answer_characters=guessed.answer_characters,
            )
        )
    return sources


def _rows(file: Path) -> list[Row]:
    from regimen.data.sources import Where, parts_of, rows_of
    from regimen.study.sources import Form, Source

    source = Source(files=(str(file.resolve()),), form=Form(text="x"))
    rows = [row for _, _, row in islice(rows_of(parts_of(file.name, source, "train", Where())), LOOKED_AT)]
    if not rows:
        raise UsageError(f"{file}: the file holds no row")
    return rows


def _pairs(looked: dict[Path, list[Row]]) -> dict[Path, Path]:
    """Training file -> test file: both have the same columns, and the name of the second holds a word for tests."""
    pairs: dict[Path, Path] = {}
    tests = [file for file in looked if any(word in file.stem.lower() for word in FOR_TESTS)]
    for test in tests:
        alike = [f for f in looked if f not in tests and f not in pairs and set(looked[f][0]) == set(looked[test][0])]
        if alike:
            pairs[max(alike, key=lambda file: _common(file.stem, test.stem))] = test
    return pairs


def _plain(file: Path) -> str:
    """The file's name without the words for a training split; the folder's name where nothing else is left."""
    words = [
        word
        for word in re.split(r"[^a-z0-9]+", file.name.split(".")[0].lower())
        if word not in ("train", "training", "")
    ]
    return "-".join(words) or file.resolve().parent.name


def _common(one: str, other: str) -> int:
    return sum(a == b for a, b in zip(one, other, strict=False))


def _beside(file: Path, home: Path) -> str:
    """The path as the study names it: relative to the study where it lies beside or below it."""
    whole, folder = file.resolve(), home.resolve()
    return whole.relative_to(folder).as_posix() if whole.is_relative_to(folder) else whole.as_posix()
