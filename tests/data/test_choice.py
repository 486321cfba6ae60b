"""Rows that are chosen among many: by hash, classes in turn, whatever the order of the file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen.data.choice import InTurn
from regimen.data.cleaning import Drops
from regimen.data.items import build_items
from regimen.data.rows import usable_rows
from regimen.data.sources import Where
from regimen.errors import DataError
from regimen.evaluation.floors import training_texts
from regimen.plan.identities import source_identity
from regimen.study.sources import Source
from regimen.study.tasks import Task

FORM = {"prompt": "{{ text }}\nMood:", "label": {"column": "label", "names": ["bad", "good"]}}
TASK = Task.model_validate(
    {"title": "Mood", "group": "g", "source": ["mood"], "scoring": "choice", "metrics": ["accuracy"]}
)


def write(path: Path, rows: list[dict[str, object]]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path.name


def sorted_rows(bad: int, good: int) -> list[dict[str, object]]:
    return [{"text": f"review {i}", "label": int(i >= bad)} for i in range(bad + good)]


def trained_on(here: Path, **source: object) -> list[tuple[str, str]]:
    """(text, class) of the rows that are trained on, in order."""
    one = Source.model_validate({"files": ["mood.jsonl"], "form": FORM, **source})
    rows = usable_rows("mood", one, "train", Where(here=here), Drops())
    return [(row.values["text"], row.rendered.answer.strip() if row.rendered else "") for row in rows]


def turn_by_turn(classes: Mapping[int, list[int]], most: int) -> dict[int, list[int]]:
    """The plain way: one of each class after another, the smallest first."""
    left = {kind: sorted(held) for kind, held in classes.items()}
    chosen: dict[int, list[int]] = {kind: [] for kind in classes}
    while most and any(left.values()):
        for kind in sorted(left):
            if left[kind] and most:
                chosen[kind].append(left[kind].pop(0))
                most -= 1
    return chosen


@given(st.lists(st.integers(0, 4), max_size=900), st.integers(1, 60), st.randoms())
def test_the_choice_is_that_of_turns(kinds: list[int], most: int, chance: object) -> None:
    hashes = list(range(len(kinds)))
    chance.shuffle(hashes)  # type: ignore[attr-defined]
    first: InTurn[int] = InTurn(most)
    classes: dict[int, list[int]] = {}
    for kind, one in zip(kinds, hashes, strict=True):
        first.add(kind, one)
        classes.setdefault(kind, []).append(one)
    assert {kind: list(chosen) for kind, chosen in first.by_class().items()} == turn_by_turn(classes, most)


def test_no_more_than_twice_the_choice_is_held() -> None:
    first: InTurn[int] = InTurn(100)
    most = 0
    for number in range(50_000):
        first.add(number % 7, number * 7919 % 50_021)
        most = max(most, first._held)
    assert most <= 2 * 100 + 257


def test_a_limit_on_a_sorted_file_takes_both_classes(tmp_path: Path) -> None:
    write(tmp_path / "mood.jsonl", sorted_rows(3000, 3000))
    rows = trained_on(tmp_path, limit=1000)
    assert Counter(mood for _, mood in rows) == {"bad": 500, "good": 500}
    numbers = [int(text.split()[1]) for text, _ in rows]
    assert numbers == sorted(numbers), "they stand in the order of the file"
    assert max(numbers) - min(numbers) > 5900, "they are of the whole file"
    assert trained_on(tmp_path, limit=1000) == rows


def test_a_rare_class_gives_what_it_has(tmp_path: Path) -> None:
    write(tmp_path / "mood.jsonl", sorted_rows(900, 7))
    assert Counter(mood for _, mood in trained_on(tmp_path, limit=100)) == {"bad": 93, "good": 7}


def test_a_limit_is_of_all_files_of_a_source(tmp_path: Path) -> None:
    write(tmp_path / "mood.jsonl", sorted_rows(10, 0))
    write(tmp_path / "more.jsonl", [{"text": f"other {i}", "label": 1} for i in range(500)])
    rows = trained_on(tmp_path, files=["mood.jsonl", "more.jsonl"], limit=60)
    assert Counter(mood for _, mood in rows) == {"bad": 10, "good": 50}


def test_a_limit_without_classes_is_of_the_whole_file(tmp_path: Path) -> None:
    write(tmp_path / "mood.jsonl", sorted_rows(500, 500))
    rows = trained_on(tmp_path, limit=100, form={"text": "{{ text }}"})
    assert len(rows) == 100
    assert 20 <= sum(int(text.split()[1]) < 500 for text, _ in rows) <= 80
    every = trained_on(tmp_path, limit=5000, form={"text": "{{ text }}"})
    assert every == trained_on(tmp_path, form={"text": "{{ text }}"}), "a limit beyond the rows changes nothing"


@pytest.mark.parametrize(
    ("source", "takes_first"),
    [
        ({"files": ["d.jsonl"], "form": FORM}, False),
        ({"files": ["d.jsonl"], "form": {"text": "{{ text }}"}}, False),
        ({"files": ["d.jsonl"], "form": {"text": "{{ text }}"}, "documents": {"rows": 4}}, True),
        ({"hub": "a/b", "form": FORM}, False),
        ({"hub": "a/b", "form": {"text": "{{ text }}"}}, True),
    ],
)
def test_only_another_choice_of_rows_is_another_identity(source: dict[str, object], takes_first: bool) -> None:
    one = Source.model_validate({**source, "limit": 10})
    assert one.takes_first_rows == takes_first
    assert (source_identity(one)["limit"] == 10) == takes_first


def test_examples_of_a_sorted_file_are_of_both_classes(tmp_path: Path) -> None:
    write(tmp_path / "mood.jsonl", sorted_rows(4000, 4000))
    mood = Source.model_validate({"files": ["mood.jsonl"], "form": FORM, "held_out": {"share": 0.1}})
    items = build_items(TASK, {"mood": mood}, 20, 1, Where(here=tmp_path), Drops(), shots=4)
    assert [shot.split()[-1] for shot in items[0].shots] == ["bad", "good", "bad", "good"]


def ids_of(here: Path, *files: str) -> list[str]:
    """The ids of the items of these test files."""
    mood = Source.model_validate({"files": ["mood.jsonl"], "form": FORM, "held_out": {"files": files}})
    return [item.id for item in build_items(TASK, {"mood": mood}, None, 1, Where(here=here), Drops())]


def test_files_of_one_name_in_two_folders_have_ids_of_their_own(tmp_path: Path) -> None:
    for year in ("2023", "2024"):
        write(tmp_path / year / "test.jsonl", [{"text": f"{year} {i}", "label": i % 2} for i in range(3)])
    wanted = {f"mood:{year}/test.jsonl:{i}" for year in ("2023", "2024") for i in range(3)}
    assert set(ids_of(tmp_path, "2023/test.jsonl", "2024/test.jsonl")) == wanted


def test_ids_hold_no_folder_of_the_machine(tmp_path: Path) -> None:
    for year in ("2023", "2024"):
        write(tmp_path / year / "test.jsonl", [{"text": f"{year}", "label": 1}])
    both = ids_of(tmp_path, str(tmp_path / "2023" / "test.jsonl"), str(tmp_path / "2024" / "test.jsonl"))
    assert sorted(both) == ["mood:2023/test.jsonl:0", "mood:2024/test.jsonl:0"]
    assert ids_of(tmp_path, str(tmp_path / "2023" / "test.jsonl")) == ["mood:test.jsonl:0"]


def test_equal_ids_name_both_rows(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", sorted_rows(1, 1))
    with pytest.raises(DataError, match=r"called mood:test.jsonl:0, one of test.jsonl, row 0, one of \S*test.jsonl, r"):
        ids_of(tmp_path, "test.jsonl", "test.jsonl")


def test_where_all_training_rows_are_near_a_test_item_one_sentence_says_so(tmp_path: Path) -> None:
    """It was an IndexError once."""
    words = [f"word{j}" for j in range(20)]
    write(tmp_path / "test.jsonl", [{"text": " ".join(words), "label": 0}])
    near = [" ".join([*words[:i], "other", *words[i + 1 :]]) for i in range(20)]
    write(tmp_path / "mood.jsonl", [{"text": text, "label": i % 2} for i, text in enumerate(near)])
    mood = Source.model_validate({"files": ["mood.jsonl"], "form": FORM, "held_out": {"files": ["test.jsonl"]}})
    where = Where(here=tmp_path)
    with pytest.raises(DataError, match=r"source 'mood': every row .* near to one, so none is left for examples"):
        build_items(TASK, {"mood": mood}, None, 1, where, Drops(), shots=2)
    items = build_items(TASK, {"mood": mood}, None, 1, where, Drops())
    with pytest.raises(DataError, match=r"source 'mood': every row of its training side holds a test item or is near"):
        training_texts("mood", mood, items, where)
