"""Rows of conversations to training examples.

Owns what becomes of a row whose conversation the chat template cannot show: it is dropped and counted by reason. Does
not know packing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from regimen.data.blocks import Example
from regimen.data.chat import ChatTemplate, encode_pieces, template_of
from regimen.data.cleaning import Drops
from regimen.data.row_fault import RowFault
from regimen.data.rows import UsableRow
from regimen.data.tokenizer import TextTokenizer
from regimen.study.sources import Form


def chat_examples(
    form: Form, tokenizer: TextTokenizer, batches: Iterable[list[UsableRow]], drops: Drops
) -> Iterator[tuple[UsableRow, Example]]:
    """Each row with its example; raises ModelError where the base has no chat template and none is named."""
    template = template_of(tokenizer.folder, form.chat_template)
    for batch in batches:
        for row in batch:
            try:
                yield row, _example(form, template, tokenizer, row)
            except RowFault as fault:
                drops.drop(row.part, row.number, fault.drop or fault.why, row.text)


def _example(form: Form, template: ChatTemplate, tokenizer: TextTokenizer, row: UsableRow) -> Example:
    assert row.rendered is not None
    assert row.rendered.conversation is not None
    pieces = template.pieces(row.rendered.conversation, form.loss)
    ids, loss = encode_pieces(pieces, tokenizer.encode_rendered)
    first = loss.index(True)
    return Example(ids[:first], ids[first:], loss[first:])
