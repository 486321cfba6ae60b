"""Sources: the place of their rows, the form of their text, the rows held out. Frozen, validated values.

Owns `Source` and its parts and the checks that one value can make of itself. Does not know files, rows or tasks.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import field_validator, model_validator

from regimen.study.values import Count, FileName, Frozen, Name, Pattern, Share, Template

CHAT_TEMPLATES = ("base", "chatml", "plain")
TEST_FILES = "test files"  # the name of the split that a user's own test files are
VALIDATION_FILES = "validation files"  # likewise
Side = Literal["train", "validation", "test"]


class Label(Frozen):
    """A closed answer: `column` holds a class; `names` renders it, `bins` cuts a number into named classes.

    `names` is a list (a cell is a name as written, else the place of one, counted from 0) or a map from the
    column's value to the name shown.
    """

    column: str
    names: tuple[str, ...] | dict[str, str]
    bins: tuple[float, ...] = ()

    @property
    def choices(self) -> tuple[str, ...]:
        """The distinct names, in order."""
        values = self.names if isinstance(self.names, tuple) else self.names.values()
        return tuple(dict.fromkeys(values))

    @field_validator("names", mode="before")
    @classmethod
    def _no_yaml_booleans(cls, names: object) -> object:
        """YAML reads no, yes, on and off as truth values unless they stand in quotes."""
        shown = names.values() if isinstance(names, dict) else names if isinstance(names, list) else ()
        if any(isinstance(name, bool) for name in shown):
            raise ValueError("no, yes, on, off, true and false are truth values to YAML: put these names in quotes")
        return names

    @model_validator(mode="after")
    def _check(self) -> Label:
        if len(self.choices) < 2:
            raise ValueError("a label needs at least two different names")
        if self.bins and (list(self.bins) != sorted(set(self.bins)) or len(self.choices) != len(self.bins) + 1):
            raise ValueError("`bins` must increase, and there must be one fewer than names")
        return self


class Form(Frozen):
    """The form in which a row becomes text. Templates are Jinja, their variables the row's columns.

    `prompt` and `answer` (or `label`) are the fine-tuning form; they are joined by `join`, the same in training
    and in evaluation. `text` is the pretraining form; without it, it is prompt and answer joined. `options`
    lists the choices of a row when their number varies. `group` names what must stay on one side of a split.

    `tests` are those of a program that the answer is - code that defines `check(candidate)`, a list of asserts, or
    pairs of input and output - and `entry` names the function they call. Without them the columns `test`, `tests` or
    `test_list` and `entry_point` are taken, as data sets have them; asserts may also leave it to their calls.

    `messages` (or `sharegpt`) is a conversation: an expression that gives a list of turns. `chat_template` renders it:
    "base" (the base's own), "chatml", "plain" (User: ..., Assistant: ...), or the text of a template, for which a study
    names a file beside it. Loss is on every turn of the assistant, or on the last. `system` and `tools` go with it.
    """

    text: Template | None = None
    prompt: Template | None = None
    answer: Template | None = None
    label: Label | None = None
    options: Template | None = None
    join: str = " "
    group: Template | None = None
    tests: Template | None = None
    entry: Template | None = None
    messages: Template | None = None
    system: Template | None = None
    tools: Template | None = None
    chat_template: str = "base"
    loss: Literal["assistant", "last"] = "assistant"

    @model_validator(mode="before")
    @classmethod
    def _sharegpt(cls, values: Any) -> Any:
        """ShareGPT's turns are told by their keys, so its name is another name for `messages`."""
        if not isinstance(values, dict) or "sharegpt" not in values:
            return values
        if values.get("messages") is not None:
            raise ValueError("`messages` and `sharegpt` mean the same; give one of them")
        return {"messages": values["sharegpt"], **{key: value for key, value in values.items() if key != "sharegpt"}}

    @property
    def is_asked(self) -> bool:
        """True if rows ask and answer: they can be fine-tuned on, and tested by generation."""
        return self.prompt is not None or self.messages is not None

    @model_validator(mode="after")
    def _check(self) -> Form:
        if self.messages is not None:
            return self._checked_chat()
        if self.system is not None or self.tools is not None or self.chat_template != "base":
            raise ValueError("`system`, `tools` and `chat_template` go with `messages`")
        if self.text is None and self.prompt is None:
            raise ValueError("a form needs `text`, `messages`, or `prompt` with `answer` or `label`")
        if self.prompt is not None and (self.answer is None) == (self.label is None):
            raise ValueError("a `prompt` needs exactly one of `answer` and `label`")
        if self.prompt is None and (self.answer is not None or self.label is not None):
            raise ValueError("an `answer` or `label` needs a `prompt`")
        return self

    def _checked_chat(self) -> Form:
        if self.prompt is not None or self.answer is not None or self.label is not None or self.options is not None:
            raise ValueError("`messages` stands without `prompt`, `answer`, `label` and `options`")
        if not (self.messages or "").strip().startswith("{{"):
            raise ValueError('`messages` must be one expression that gives a list of turns: "{{ messages }}"')
        if self.chat_template not in CHAT_TEMPLATES and "{" not in self.chat_template:
            raise ValueError(
                f"`chat_template` is base, chatml, plain or a file beside the study, not {self.chat_template!r}"
            )
        return self


class Documents(Frozen):
    """Joins running rows into documents: every `rows` rows, or anew at each row whose beginning matches the
    regular expression `starts` (RE2's syntax)."""

    rows: Count | None = None
    starts: Pattern | None = None
    separator: str = ""

    @model_validator(mode="after")
    def _check(self) -> Documents:
        if (self.rows is None) == (self.starts is None):
            raise ValueError("documents need exactly one of `rows` and `starts`")
        return self


class HeldOut(Frozen):
    """The rows that are tested on and never trained on: a split, files of their own, or a share.

    A share is cut by the hash of each row's group, so a row never moves from one side to the other. Rows whose text
    stands in a source of `not_in` are not tested on.
    """

    split: FileName | None = None
    files: tuple[FileName, ...] = ()
    share: Share | None = None
    not_in: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> HeldOut:
        if [self.split is not None, bool(self.files), self.share is not None].count(True) != 1:
            raise ValueError("held-out rows need exactly one of `split`, `files` and `share`")
        return self


class Validation(Frozen):
    """Where the rows come from by which choices are made: a split, files of their own, or a share of the training side.

    They are never trained on and never tested on. A share is cut by the same hash as held-out rows.
    """

    split: FileName | None = None
    files: tuple[FileName, ...] = ()
    share: Share | None = None

    @model_validator(mode="after")
    def _check(self) -> Validation:
        if [self.split is not None, bool(self.files), self.share is not None].count(True) != 1:
            raise ValueError("validation rows need exactly one of `split`, `files` and `share`")
        return self


class Source(Frozen):
    """One data set: where its rows are, what may be done with them, how they become text.

    `leaks` says which of its training rows go for holding a test item: those that hold its text or one with a few
    words changed ("near"), those that hold the text itself ("exact"), none ("off": then scores prove little).

    `limit` says how many rows are read to train on. They are chosen by hash among all rows, classes in turn where there
    is a label, so that a sorted file is no harm; see `takes_first_rows` for where that cannot be.

    `files` are names, patterns (`data/**/*.txt`: each file a document) or folders; `field` is the key of the list of
    rows where a JSON file wraps them into an object.
    """

    hub: FileName | None = None
    files: tuple[FileName, ...] = ()
    field: str | None = None
    config: FileName | tuple[FileName, ...] | None = None
    split: FileName | None = "train"
    revision: FileName = "main"
    parquet_branch: bool = False
    licence: str = "none stated"
    size: str = ""
    form: Form
    held_out: HeldOut | None = None
    validation: Validation | None = None
    documents: Documents | None = None
    limit: Count | None = None
    leaks: Literal["near", "exact", "off"] = "near"
    notes: str = ""

    @model_validator(mode="after")
    def _check(self) -> Source:
        if (self.hub is None) == (not self.files):
            raise ValueError("a source needs exactly one of `hub` and `files`")
        self._check_validation()
        if self.held_out is None:
            return self
        if self.held_out.files and not self.files:
            raise ValueError(
                "`held_out: {files: ...}` goes with a source's own `files`; of a Hub source name the `split`"
            )
        if self.files and self.held_out.split and self.split is not None:
            raise ValueError("own files have no splits: hold out `files` or a `share`, or test only (`split: null`)")
        return self

    def _check_validation(self) -> None:
        rows = self.validation
        if rows is None:
            return
        if self.split is None:
            raise ValueError("a source that is only tested on (`split: null`) has no training side to validate")
        if rows.files and not self.files:
            raise ValueError(
                "`validation: {files: ...}` goes with a source's own `files`; of a Hub source name the `split`"
            )
        if rows.split is not None and self.files:
            raise ValueError("own files have no splits: validate on `files` or a `share`")
        if rows.split is not None and rows.split in (self.split, self.test_split):
            used = "trained" if rows.split == self.split else "tested"
            raise ValueError(f"the split {rows.split!r} is {used} on; validate on another split or on a `share`")
        if both := sorted(set(rows.files) & {*self.files, *self.test_files}):
            used = "tested" if both[0] in self.test_files else "trained"
            raise ValueError(f"the file {both[0]!r} is {used} on; validate on another file or on a `share`")

    @property
    def is_only_tested_on(self) -> bool:
        """True if these are own files without a training side: all their rows are test rows."""
        return bool(self.files) and self.split is None and self.held_out is None

    @property
    def takes_first_rows(self) -> bool:
        """True if a limit takes the first rows: of rows that are joined into documents, and of a corpus on the Hub.

        Running rows make a document only together, and choosing among all rows would fetch all of a corpus.
        """
        return self.documents is not None or (self.hub is not None and not self.form.is_asked)

    @property
    def test_files(self) -> tuple[str, ...]:
        """The own files that are tested on."""
        if self.is_only_tested_on:
            return self.files
        return self.held_out.files if self.held_out else ()

    @property
    def test_split(self) -> str | None:
        """The split that is tested on, TEST_FILES for files of their own; a share is cut from the training split.

        Own files that are never trained on (`split: null`) are tested on as they are.
        """
        if self.held_out is None:
            return TEST_FILES if self.is_only_tested_on else self.split
        return TEST_FILES if self.held_out.files else self.held_out.split or self.split

    @property
    def validation_split(self) -> str | None:
        """The split that choices are made by, VALIDATION_FILES for files of their own; None where there is none.

        A share is cut from the training split.
        """
        if self.validation is None:
            return None
        return VALIDATION_FILES if self.validation.files else self.validation.split or self.split

    def split_of(self, side: Side) -> str | None:
        """The split that the rows of one side are read from; None where the source has no such side."""
        return {"train": self.split, "validation": self.validation_split, "test": self.test_split}[side]

    @property
    def splits(self) -> tuple[str, ...]:
        """All splits that are read, each once."""
        return tuple(dict.fromkeys(s for s in (self.split, self.test_split, self.validation_split) if s))

    def files_of(self, side: Side) -> tuple[str, ...]:
        """The own files that the rows of one side are read from."""
        if side == "test":
            return self.test_files or self.files
        own = self.validation.files if side == "validation" and self.validation else ()
        return own or self.files

    def cut_of(self, side: Side) -> HeldOut | Validation | None:
        """What says where the rows of a side are from that is not trained on."""
        return {"train": None, "validation": self.validation, "test": self.held_out}[side]

    def share_of(self, side: Side) -> float | None:
        """The share that a side is cut off by; None for a side with rows of its own."""
        cut = self.cut_of(side)
        return cut.share if cut else None

    @property
    def configs(self) -> tuple[str | None, ...]:
        """The Hub configs to read, one after another; (None,) where there is only one."""
        return self.config if isinstance(self.config, tuple) else (self.config,)
