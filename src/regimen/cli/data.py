"""`regimen data`: a source's rows as the model will see them, which tokens carry loss, lengths, counts and drops."""

from __future__ import annotations

from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regimen.cli.options import DataOption, ProfileOption

if TYPE_CHECKING:
    from rich.text import Text

    from regimen.data.rows import UsableRow
    from regimen.data.tokenizer import TextTokenizer
    from regimen.study.sources import Source

MOST = 20_000  # rows that are counted
BAR = 40


def data(
    source: Annotated[str, typer.Argument(help="A source of the study.")],
    study: Annotated[str, typer.Option("--study", help="A packaged study or a YAML file.")] = "qwen2-finance",
    profile: ProfileOption = None,
    data: DataOption = None,
    rows: Annotated[int, typer.Option(min=1, help="Rows to show.")] = 3,
    pretrain: Annotated[bool, typer.Option(help="Show the pretraining form, with loss on every token.")] = False,
) -> None:
    """Show rows, loss tokens in colour, a histogram of lengths, what was dropped."""
    from rich.console import Console

    from regimen.data.cleaning import Ledger
    from regimen.data.rows import usable_rows
    from regimen.data.sources import Where
    from regimen.data.standins import stand_in
    from regimen.data.tokenizer import TextTokenizer
    from regimen.engine.locate import locate_base
    from regimen.study import load_study, unknown_name

    loaded = load_study(study, profile)
    if source not in loaded.sources:
        raise unknown_name("source", source, loaded.sources)
    form = loaded.sources[source]
    here = Path(study).parent if Path(study).is_file() else None
    where = Where(loaded.data, data, here)
    tokenizer = TextTokenizer(locate_base(loaded.base, data))
    ledger = Ledger()
    side = "train" if form.split else "test"
    read = list(islice(usable_rows(source, form, side, where, ledger), MOST))
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"{source}: {form.hub or ', '.join(form.files)}, {side} side, licence: {form.licence}")
    if note := stand_in(form, form.split or "", where):
        console.print(f"rows that are not the source's own: {note}", style="yellow", markup=False)
    for row in read[:rows]:
        console.print(f"\n[{row.part}, row {row.number}]", style="dim", markup=False)
        console.print(_shown(row, form, tokenizer, pretrain))
    lengths = [len(ids) + 1 for ids in tokenizer.encode_many([row.text for row in read])]
    console.print("\ntokens a row, the end-of-text token counted:")
    for line in histogram(lengths, loaded.batch.block):
        console.print(line, markup=False)
    more = "" if len(read) < MOST else f" (the first {MOST:,} looked at)"
    drops = ", ".join(f"{count:,} {reason}" for reason, count in ledger.counts.items()) or "none"
    console.print(f"\n{ledger.rows:,} rows read, {len(read):,} usable{more}; dropped: {drops}", markup=False)


def _shown(row: UsableRow, source: Source, tokenizer: TextTokenizer, pretrain: bool) -> Text:
    """The row's tokens: with loss green and underlined, without plain; bars between tokens are not shown."""
    from rich.text import Text

    from regimen.data.forms import render_text

    text = Text()
    if pretrain or row.rendered is None:
        ids = tokenizer.encode(render_text(source.form, row.values))
        text.append(tokenizer.decode(ids[:1]))  # nothing predicts the first token
        text.append(tokenizer.decode(ids[1:]), style="green underline")
        loss = len(ids)
    else:
        text.append(row.rendered.prompt)
        text.append(row.rendered.answer, style="green underline")
        loss = len(tokenizer.encode(row.rendered.answer)) + 1
    text.append(tokenizer.end_text, style="green underline")
    text.append(f"\n{loss} tokens carry loss", style="dim")
    return text


def histogram(lengths: list[int], block: int) -> list[str]:
    """Lines of a histogram with bins that double; the block's length is marked by how many rows are longer."""
    edges = [0, 16]
    while edges[-1] < max(lengths):
        edges.append(edges[-1] * 2)
    counts = [sum(low < n <= high for n in lengths) for low, high in pairwise(edges)]
    top = max(counts)
    lines = [
        f"{low + 1:>8,} - {high:<8,} {'█' * round(BAR * count / top):{BAR}} {count:,}"
        for (low, high), count in zip(pairwise(edges), counts, strict=True)
    ]
    longer = sum(n > block for n in lengths)
    return [*lines, f"{longer:,} of {len(lengths):,} are longer than a block of {block}"]
