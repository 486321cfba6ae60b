"""Text to token ids, by the base model's own fast tokenizer.

Owns the reading of a `tokenizer.json`, the tokens at the ends of a text, and the cut between a prompt and its answer.
What looks like a special token inside a text is text. Does not know where the file comes from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tokenizers import Tokenizer

from regimen.errors import ModelError


@dataclass(frozen=True)
class Pair:
    """A prompt and its answer as ids of one text. `merges`: a token of the two together holds characters of both."""

    prompt: list[int]
    answer: list[int]
    merges: bool = False


class TextTokenizer:
    """Encodes text as it stands.

    `end` is the id of the end-of-text token that closes documents and answers; `starts` are the ids that the tokenizer
    puts before every text (a begin-of-text token, often none); `opening` is what an empty text is read as.
    """

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
        self.end_text = _special(folder, "eos_token") or ""
        if not self.end_text:
            raise ModelError(f"{folder} names no eos_token in its tokenizer_config.json")
        begin = _special(folder, "bos_token")
        self._begin = None if begin is None else self._tokenizer.token_to_id(begin)
        end = self._tokenizer.token_to_id(self.end_text)
        if end is None:
            raise ModelError(f"the end-of-text token {self.end_text!r} is not in {file}")
        self.end: int = end
        self.starts = self._starts()
        self._tokenizer.encode_special_tokens = True
        self._marks = _beginnings(self._special_texts())
        self._splits = _splits_at_blanks(self._tokenizer)
        self._holding: dict[str, frozenset[int]] = {}

    def _starts(self) -> list[int]:
        bare = self._tokenizer.encode("a", add_special_tokens=False).ids
        whole = self._tokenizer.encode("a", add_special_tokens=True).ids
        places = [n for n in range(len(whole) - len(bare) + 1) if whole[n : n + len(bare)] == bare]
        return whole[: places[0]] if places else []

    def _special_texts(self) -> list[str]:
        return [token.content for token in self._tokenizer.get_added_tokens_decoder().values() if token.special]

    @property
    def opening(self) -> list[int]:
        """The ids that stand for an empty text: those that the tokenizer puts before a text, else its end token."""
        return list(self.starts) or [self.end]

    @property
    def prefix(self) -> int:
        """The ids that lm-evaluation-harness puts before a text without context."""
        return self.end if self._begin is None else self._begin

    @property
    def size(self) -> int:
        """The vocabulary's size, added tokens included."""
        return self._tokenizer.get_vocab_size(with_added_tokens=True)

    def encode(self, text: str) -> list[int]:
        """The ids of one text, nothing before it."""
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of many texts, nothing before them, in parallel threads."""
        return [item.ids for item in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    def encode_whole(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of many texts as they are read: after what the tokenizer puts before a text."""
        ids = self.encode_many(texts)
        return [self.starts + one for one in ids] if self.starts else ids

    def encode_rendered(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of texts that a chat template made: the special tokens in them are meant as such."""
        return [item.ids for item in self._rendering.encode_batch_fast(list(texts), add_special_tokens=False)]

    @cached_property
    def _rendering(self) -> Tokenizer:
        """A second tokenizer, that takes special tokens for what they are."""
        tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    def encode_pairs(self, prompts: Sequence[str], answers: Sequence[str]) -> list[Pair]:
        """Prompts and answers, each pair tokenised as one text and cut, after what the tokenizer puts before a text.

        The cut is where the prompt's own tokens end. Where a token reaches across, it belongs to the answer, with the
        blanks at the prompt's end, as lm-evaluation-harness cuts.
        """
        apart = [self._splits and _is_split(p, a) for p, a in zip(prompts, answers, strict=True)]
        joined = [a if split else p + a for p, a, split in zip(prompts, answers, apart, strict=True)]
        heads, wholes = self._encode_each_once(prompts), self._encode_each_once(joined)
        pairs = []
        for prompt, head, whole, split in zip(prompts, heads, wholes, apart, strict=True):
            if not split and whole[: len(head)] == head:
                whole = whole[len(head) :]
            elif not split:
                cut = _common(self.encode(prompt.rstrip()), whole)
                pairs.append(Pair(self.starts + whole[:cut], whole[cut:], merges=True))
                continue
            pairs.append(Pair(self.starts + head, whole))
        return pairs

    def _encode_each_once(self, texts: Sequence[str]) -> list[list[int]]:
        """As `encode_many`; a text that comes again (a prompt with many choices) is not read again."""
        different = list(dict.fromkeys(texts))
        known = dict(zip(different, self.encode_many(different), strict=True))
        return [known[text] for text in texts]

    def holds_special(self, text: str) -> bool:
        """True if a text holds the spelling of a special token."""
        return any(mark in text and any(one in text for one in texts) for mark, texts in self._marks.items())

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


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """The number of ids that two texts share at their beginning."""
    limit = min(len(one), len(other))
    return next((n for n in range(limit) if one[n] != other[n]), limit)


def _beginnings(texts: Sequence[str]) -> dict[str, list[str]]:
    """Special tokens by their first two characters, so that a text is looked through once for many of them."""
    marks: dict[str, list[str]] = {}
    for text in texts:
        marks.setdefault(text[:2], []).append(text)
    return marks


def _splits_at_blanks(tokenizer: Tokenizer) -> bool:
    """True if the tokenizer is byte-level BPE over words that begin at blanks: no token reaches from "x" into " y"."""
    if type(tokenizer.model).__name__ != "BPE" or tokenizer.pre_tokenizer is None:
        return False
    steps = tokenizer.pre_tokenizer.__getstate__().decode("utf-8").replace('": ', '":')
    return "ByteLevel" in steps and ('"use_regex":true' in steps or '"type":"Split"' in steps)


def _is_split(prompt: str, answer: str) -> bool:
    """True if a word ends between the two, so that each has the same tokens alone as in the whole."""
    ends_in_word, starts_with_blank = prompt[-1:].strip() != "", answer[:1] == " "
    return ends_in_word and starts_with_blank and answer[1:2].strip() != ""


def _special(folder: Path, name: str) -> str | None:
    for file in (folder / "tokenizer_config.json", folder / "special_tokens_map.json"):
        if file.is_file():
            value = json.loads(file.read_text(encoding="utf-8")).get(name)
            if value:
                return value["content"] if isinstance(value, dict) else value
    return None
