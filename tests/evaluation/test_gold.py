"""Right answers that no generated answer could equal are refused before anything is trained."""

from __future__ import annotations

import pytest

from regimen.data.items import Item
from regimen.errors import DataError
from regimen.evaluation import entities
from regimen.evaluation.gold import check_gold
from regimen.evaluation.readers import Answer, read
from regimen.study.extraction import check_pattern, extracted
from regimen.study.tasks import Generation, Task
from tests.support.studies import with_fields

TASK = Task(
    title="t", group="g", source=("s",), scoring="generation", metrics=("exact-match",), generation=Generation(tokens=4)
)
ENTITIES = with_fields(TASK, metrics=("entity-f1",))


def item(answer: str, number: int = 1, others: tuple[str, ...] = ()) -> Item:
    return Item(f"s:d.jsonl:{number}", "Q:", f" {answer}", others=others)


def test_an_answer_that_holds_a_stop_is_named_with_the_remedy() -> None:
    with pytest.raises(DataError, match=r"'steps', row s:d.jsonl:7: the right answer 'First.\\nThen.' holds the stop"):
        check_gold("steps", TASK, [item("one line"), item("First.\nThen.", 7)])
    with pytest.raises(DataError, match=r"stop: \[\"\\n\\n\"\]"):
        check_gold("steps", TASK, [item("fine", others=("two\nlines",))])
    roomy = with_fields(TASK, generation=Generation(tokens=4, stop=("\n\n",)))
    check_gold("steps", roomy, [item("First.\nThen.")])
    program = with_fields(
        TASK, scoring="execution", metrics=("pass@1",), generation=Generation(tokens=4, stop=("\ndef",))
    )
    check_gold("steps", program, [item("    a\n    b")])
    with pytest.raises(DataError, match="holds the stop"):
        check_gold("steps", program, [item("    a\ndef b(): pass")])


@pytest.mark.parametrize(
    ("answer", "readable"),
    [
        ("Ada is a person, Paris is a location.", True),
        ("Lamp0 is a product, March 1 is a date.", True),
        ("New York, NY is a location, J. Smith is a person.", True),
        ("Yahoo! Inc. is an organization", True),
        (".", True),
        ("none", True),
        ("Ada: person", False),
        ("Ada is a person, and more", False),
        ("There is nothing here", False),
    ],
)
def test_entities_that_cannot_be_read_are_refused(answer: str, readable: bool) -> None:
    assert entities.is_readable(answer) == readable
    if readable:
        check_gold("ner", ENTITIES, [item(answer)])
    else:
        with pytest.raises(DataError, match=r"task 'ner', row s:d.jsonl:1: .* holds no entities that can be read"):
            check_gold("ner", ENTITIES, [item(answer)])


def test_entity_types_are_those_of_the_right_answers() -> None:
    rights = ["Lamp0 is a product, March 1 is a date.", "Ada is a person."]
    types = entities.types_of(rights)
    assert types == {"product", "date", "person"}
    reading = read(
        ["entity-f1"], Answer("Lamp0 is a product, this is a test, Ada is a person", (rights[0],), types=types)
    )
    assert reading["entity-f1"].counts == (1, 2, 2)
    assert reading["entity-f1"].value == 0.5
    same = read(["entity-f1"], Answer(rights[0], (rights[0],), types=types))["entity-f1"]
    assert (same.value, same.counts) == (1.0, (2, 2, 2))


def test_of_several_right_answers_any_will_do() -> None:
    answer = Answer("in Paris", ("Paris, France", "in Paris", "Paris"))
    readings = read(["exact-match", "rouge-l", "numeric-match"], answer)
    assert (readings["exact-match"].value, readings["rouge-l"].value) == (1.0, 1.0)
    assert read(["exact-match"], Answer("Rome", answer.rights))["exact-match"].value == 0.0


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("#### (.*)", "so 3 + 4 = 7\n#### 7 ", "7"),
        ("answer is (\\w+)|so (\\w+)", "the answer is B.", "B"),
        (r"\\d+", "one 12 two 13", "12"),
        ("#### (.*)", "nothing", None),
        (r"(?i)answer:\\s*(\\p{Lu})", "Answer: B", "B"),
    ],
)
def test_extract_reads_the_first_group_of_the_first_match(pattern: str, text: str, found: str | None) -> None:
    assert extracted(pattern.replace("\\\\", "\\"), text) == found


def test_a_pattern_is_checked_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="is not a regular expression"):
        check_pattern("(unclosed")
    with pytest.raises(ValueError, match="the limit is 1,000"):
        check_pattern("a" * 1001)
    monkeypatch.setattr("regimen.study.extraction.SECONDS", 0.05)
    with pytest.raises(DataError, match="takes over 0.05 s"):
        extracted("(?:a|aa)+(?:a|aa)+(?:a|aa)+c(.*)b", "a" * 60)


def test_an_answer_that_extract_does_not_match_is_unreadable_and_wrong() -> None:
    readings = read(["exact-match", "rouge-l", "bleu"], Answer(None, ("7",)))
    assert all(reading.prediction is None for reading in readings.values())
    assert readings["exact-match"].value == readings["rouge-l"].value == 0.0


def test_right_answers_match_extract_all_or_none() -> None:
    task = with_fields(TASK, extract="#### (.*)", generation=Generation(tokens=4, stop=()))
    check_gold("sums", task, [item("3+4\n#### 7"), item("#### 8", 2)])
    check_gold("sums", task, [item("7"), item("8", 2)])
    with pytest.raises(DataError, match="row s:d.jsonl:2: the right answer '8' does not match `extract`"):
        check_gold("sums", task, [item("#### 7"), item("8", 2)])
