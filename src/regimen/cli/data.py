"""`regimen data`: a source's rows as the model will see them: tokens with loss, lengths, counts, dropped rows."""

from __future__ import annotations

import math
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Annotated

import typer

from regimen.cli.options import DataOption, ProfileOption, TrustOption, folder_of

if TYPE_CHECKING:
    from rich.text import Text

    from regimen.data.cleaning import Drops
    from regimen.data.conversations import Conversation
    from regimen.data.rows import UsableRow
    from regimen.data.sources import Where
    from regimen.data.tokenizer import TextTokenizer
    from regimen.plan import Plan
    from regimen.study.schema import Batch, LegKind
    from regimen.study.sources import Form, Source

MOST = 20_000  # rows that are counted
BAR = 40
OPEN, SHUT = "⟦", "⟧"


def data(
    source: Annotated[str, typer.Argument(help="A source of the study.")],
    study: Annotated[str, typer.Option("--study", help="A packaged study or a YAML file.")] = "qwen2-finance",
    profile: ProfileOption = None,
    trust_code: TrustOption = False,
    data: DataOption = None,
    rows: Annotated[int, typer.Option(min=1, help="Rows to show.")] = 3,
    pretrain: Annotated[
        bool, typer.Option("--pretrain", help="Show the pretraining form, with loss on every token.")
    ] = False,
) -> None:
    """Show rows with their loss tokens marked, a histogram of lengths, and counts of dropped rows by reason."""
    from regimen.api import load_and_compile
    from regimen.cli.terminal import console
    from regimen.data.cleaning import Drops
    from regimen.data.sources import Where, parts_of, remarks
    from regimen.data.standins import stand_in
    from regimen.data.tokenizer import TextTokenizer
    from regimen.engine.locate import locate_base
    from regimen.study import unknown_name

    plan = load_and_compile(study, profile=profile, data=data, here=folder_of(study), trust_code=trust_code)
    loaded = plan.study
    if source not in loaded.sources:
        raise unknown_name("source", source, loaded.sources)
    about = loaded.sources[source]
    where = Where(loaded.data, data, folder_of(study))
    tokenizer = TextTokenizer(locate_base(loaded.base, data))
    is_read = pretrain and (about.form.messages is None or about.form.text is not None)
    form: LegKind = "pretrain" if is_read or not about.form.is_asked else "finetune"
    drops = Drops()
    read, avoided = _read(plan, source, form, where, drops)
    screen = console()
    screen.soft_wrap = True
    side = "train" if about.split else "test"
    screen.print(f"{source}: {about.hub or ', '.join(about.files)}, {side} side, licence: {about.licence}")
    if note := stand_in(about, about.split or "", where):
        screen.print(f"these rows stand in for the source's own: {note}", style="yellow")
    if split := about.split or about.test_split:
        for note in remarks(parts_of(source, about, split, where)):
            screen.print(note, style="yellow")
    screen.print(f"tokens with loss stand between {OPEN} and {SHUT}", style="dim")
    for row in read[:rows]:
        screen.print(f"\n[{row.part}, row {row.number}]", style="dim")
        screen.print(_shown(row, about, tokenizer, form, loaded.batch.block))
    for line in _accounts(read, about, form, tokenizer, loaded.batch, drops, avoided):
        screen.print(line)


def _read(plan: Plan, name: str, form: LegKind, where: Where, drops: Drops) -> tuple[list[UsableRow], str]:
    """The first rows that a run would use, and a sentence about the test items that were looked for."""
    from regimen.data.prepare import trainable_rows
    from regimen.data.rows import usable_rows
    from regimen.plan import ItemsSpec, PrepareSpec
    from regimen.stages.items import texts_of

    source = plan.study.sources[name]
    if source.split is None:
        return list(islice(usable_rows(name, source, "test", where, drops), MOST)), "tested on, never trained on"
    prepared = [stage for stage in plan.stages.values() if isinstance(stage, PrepareSpec)]
    if not prepared:
        first = list(islice(usable_rows(name, source, "train", where, drops), MOST))
        return first, "test items were not looked for: the study trains nothing"
    specs = [plan.stages[key] for key in prepared[0].tests]
    corpora = where.data is None and where.origin == "hub"  # a text task's items are chosen among all its rows
    items = [stage for stage in specs if isinstance(stage, ItemsSpec)]
    looked = [stage for stage in items if not (corpora and stage.task.panel == "text")]
    tests, absent = texts_of(looked, where)
    rows: list[UsableRow] = []
    for batch in trainable_rows(name, source, form, where, tests, drops):
        rows += batch
        if len(rows) >= MOST:
            break
    avoided = f"looked for {len(tests):,} test texts of {len(looked) - len(absent)} tasks"
    avoided += f"; not there: the rows of {', '.join(absent)}" if absent else ""
    return rows, avoided + ("; text tasks were left out" if len(looked) < len(items) else "")


def _shown(row: UsableRow, source: Source, tokenizer: TextTokenizer, form: LegKind, block: int) -> Text:
    """The row as text. Marks, and on a colour terminal green underlining, show the tokens with loss."""
    from rich.text import Text

    from regimen.data.blocks import Example, fit
    from regimen.data.forms import render_text

    text = Text()
    cut = ""
    if form == "finetune" and row.rendered is not None and row.rendered.conversation is not None:
        return _shown_chat(row.rendered.conversation, source.form, tokenizer)
    if form == "pretrain" or row.rendered is None:
        ids = tokenizer.encode(render_text(source.form, row.values))
        plain, learnt = tokenizer.decode(ids[:1]), tokenizer.decode(ids[1:])  # nothing predicts the first token
        loss = len(ids)
    else:
        plain, learnt = row.rendered.prompt, row.rendered.answer
        prompt, answer = tokenizer.encode(plain), [*tokenizer.encode(learnt), tokenizer.end]
        kept, before, after = fit(Example(prompt, answer), block)
        loss = len(kept.answer)
        if before or after:
            cut = f"; a block holds {block}, so {before} tokens at the prompt's start"
            cut += f" and {after} at the answer's end are cut" if after else " are cut"
    text.append(plain)
    text.append(OPEN, style="dim")
    text.append(learnt + tokenizer.end_text, style="green underline")
    text.append(SHUT, style="dim")
    text.append(f"\n{loss} tokens carry loss{cut}", style="dim")
    return text


def _shown_chat(conversation: Conversation, form: Form, tokenizer: TextTokenizer) -> Text:
    """The conversation in its chat template, tokens with loss marked; or the reason why it is dropped."""
    from rich.text import Text

    from regimen.data.chat import encode_pieces, template_of
    from regimen.data.row_fault import RowFault

    text = Text()
    try:
        pieces = template_of(tokenizer.folder, form.chat_template).pieces(conversation, form.loss)
        _, loss = encode_pieces(pieces, tokenizer.encode_rendered)
    except RowFault as fault:
        return Text(f"dropped: {fault.drop or fault.why}", style="yellow")
    for piece in pieces:
        text.append(OPEN if piece.loss else "", style="dim")
        text.append(piece.text, style="green underline" if piece.loss else "")
        text.append(SHUT if piece.loss else "", style="dim")
    text.append(f"\n{sum(loss)} of {len(loss)} tokens carry loss", style="dim")
    return text


def _accounts(
    read: list[UsableRow],
    source: Source,
    form: LegKind,
    tokenizer: TextTokenizer,
    batch: Batch,
    drops: Drops,
    avoided: str,
) -> list[str]:
    """Lines of text: the histogram of lengths, counts, dropped rows by reason."""
    lengths, notes = _lengths(read, source, form, tokenizer)
    more = "" if len(read) < MOST else f" (the first {MOST:,} looked at)"
    lines = ["\ntokens a row, the end-of-text token counted:", *(histogram(lengths, batch.block) if lengths else [])]
    epoch = f"an epoch of {'these rows' if more else 'it'} alone is about {_epoch(lengths, batch, form):,} steps"
    lines += [f"\n{drops.rows:,} rows read, {len(read):,} usable{more}", *notes, avoided, epoch, "dropped:"]
    return lines + ([f"{count:>8,} {reason}" for reason, count in drops.counts.items()] or ["       0"])


def _lengths(
    read: list[UsableRow], source: Source, form: LegKind, tokenizer: TextTokenizer
) -> tuple[list[int], list[str]]:
    """Each row's tokens, the end-of-text token counted; how many rows hold special tokens, and were read apart."""
    from regimen.data.forms import render_text

    texts = [render_text(source.form, row.values) if form == "pretrain" else row.text for row in read]
    notes = []
    if special := sum(map(tokenizer.holds_special, texts)):
        notes.append(f"{special:,} rows hold the text of a special token, which is read as text")
    asked = [row.rendered for row in read if row.rendered is not None and row.rendered.conversation is None]
    if form == "pretrain" or len(asked) < len(read):
        return [len(ids) + 1 for ids in tokenizer.encode_many(texts)], notes
    pairs = tokenizer.encode_pairs([one.prompt for one in asked], [one.answer for one in asked])
    if apart := sum(pair.merges for pair in pairs):
        notes.append(f"{apart:,} rows have a token that reaches from prompt into answer; the two are tokenised apart")
    return [len(pair.prompt) + len(pair.answer) + 1 for pair in pairs], notes


def _epoch(lengths: list[int], batch: Batch, form: LegKind) -> int:
    """Steps that read every row once: a text runs over blocks, an example is cut to one and packed with others."""
    from regimen.data.blocks import first_fit

    cut = [min(n, batch.block) for n in lengths]
    if form == "pretrain":
        blocks = math.ceil(sum(lengths) / batch.block)
    else:
        blocks = len(first_fit(cut, batch.block)) if batch.packing else len(cut)
    return max(1, math.ceil(blocks / batch.sequences))


def histogram(lengths: list[int], block: int) -> list[str]:
    """Lines of a histogram whose bins double; the last line counts the rows longer than a block."""
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
