"""Text to token ids, by the base model's own fast tokenizer.

Owns the reading of a `tokenizer.json` and its end-of-text token. Never adds special tokens of its own accord. Does
not know where the file comes from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from regimen.errors import ModelError


class TextTokenizer:
    """Encodes text as it stands; `end` is the id of the end-of-text token that closes documents and answers."""

    def __init__(self, folder: Path):
        file = folder / "tokenizer.json"
        if not file.is_file():
            raise ModelError(f"no tokenizer.json in {folder}; only models with a fast tokenizer are read")
        self.folder = folder
        raw = file.read_bytes()
        self._tokenizer: Tokenizer = Tokenizer.from_str(raw.decode("utf-8"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.digest = hashlib.sha256(raw).hexdigest()[:16]
        self.end_text = _end_token(folder)
        end = self._tokenizer.token_to_id(self.end_text)
        if end is None:
            raise ModelError(f"the end-of-text token {self.end_text!r} is not in {file}")
        self.end: int = end
        self._holding: dict[str, frozenset[int]] = {}

    @property
    def size(self) -> int:
        """The vocabulary's size, added tokens included."""
        return self._tokenizer.get_vocab_size(with_added_tokens=True)

    def encode(self, text: str) -> list[int]:
        """The ids of one text."""
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of many texts, in parallel threads."""
        return [item.ids for item in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    def encode_rendered(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of texts that a chat template made: the special tokens in them are meant as such."""
        return [item.ids for item in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, special tokens left out."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=True)

    def ids_holding(self, character: str) -> frozenset[int]:
        """The ids whose own text holds an ASCII character that is not a blank: no such character is spread over ids."""
        if character not in self._holding:
            ids = list(self._tokenizer.get_vocab(with_added_tokens=True).values())
            texts = self._tokenizer.decode_batch([[number] for number in ids], skip_special_tokens=True)
            self._holding[character] = frozenset(n for n, text in zip(ids, texts, strict=True) if character in text)
        return self._holding[character]


def _end_token(folder: Path) -> str:
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        file = folder / name
        if file.is_file():
            value = json.loads(file.read_text(encoding="utf-8")).get("eos_token")
            if value:
                return value["content"] if isinstance(value, dict) else value
    raise ModelError(f"{folder} names no eos_token in its tokenizer_config.json")
