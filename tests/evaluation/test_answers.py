"""Reading answers out of generated text: strict rules, checked by hand and against the libraries."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu import corpus_bleu
from sacrebleu.metrics.bleu import BLEU

from regimen.evaluation import answers


@pytest.mark.parametrize(
    ("text", "stops", "kept"),
    [
        (" positive\nQuestion:", ("\n",), "positive"),
        ("\n\n positive\nmore", ("\n",), "positive"),
        (" a\nb\nQuestion: c", ("Question:",), " a\nb\n"),
        ("    return x\n\ndef g():", ("\ndef", "\nclass"), "    return x\n"),
        ("nothing stops", ("\n",), "nothing stops"),
    ],
)
def test_text_is_cut_at_the_first_stop(text: str, stops: tuple[str, ...], kept: str) -> None:
    assert answers.cut_at_stops(text, stops) == kept


@pytest.mark.parametrize(
    ("said", "right", "score"),
    [
        ("637.0", "637.0", 1.0),
        ("637", "637.0", 1.0),
        ("about 1,234.5 dollars", "1234.5", 1.0),
        ("-0.21", "-0.21053", 1.0),  # the answer, rounded
        ("-21.1%", "-0.21053", 1.0),
        ("21.053 %", "0.21053", 1.0),
        ("0.2", "0.21053", 0.0),  # rounded too far: 5% off
        ("0", "0.375", 0.0),
        ("2017", "2018", 0.0),  # a year is not a rounded year
        ("0.21053", "-0.21053", 0.0),
        ("(26.0)", "-26.0", 1.0),
        ("$ 15 million", "15", 1.0),
        ("+3.5", "3.5", 1.0),
        (".88", "0.88", 1.0),
        ("no number", "4", None),
        ("", "4", None),
        ("yes", "yes", None),
    ],
)
def test_numbers_match_exactly_or_rounded(said: str, right: str, score: float | None) -> None:
    assert answers.numeric_match(said, right) == score


def test_an_answer_without_number_is_compared_as_text() -> None:
    assert answers.numeric_match("yes 1", "yes") == 0.0


@given(st.floats(-1e9, 1e9, allow_nan=False).map(lambda v: round(v, 5)))
@settings(max_examples=100, deadline=None)
def test_every_number_matches_itself(value: float) -> None:
    assert answers.numeric_match(f"{value:.5f}", f"{value:.5f}") == 1.0
    assert answers.numeric_match(f"{value:,.5f}", f"{value:.5f}") == 1.0


@pytest.mark.parametrize(
    ("text", "strict", "flexible"),
    [
        ("so 3+4 = 7.\n#### 7", "7", "7"),
        ("#### 1,000", "1000", "1000"),
        ("#### -12", "-12", "-12"),
        ("the answer is $42.", None, "42"),
        ("5 then 6", None, "6"),
        ("none", None, None),
    ],
)
def test_gsm8k_answers_are_read_as_lm_eval_reads_them(text: str, strict: str | None, flexible: str | None) -> None:
    assert answers.strict_number(text) == strict
    assert answers.flexible_number(text) == flexible


def test_same_number() -> None:
    assert answers.same_number("7", "7.0") == 1.0
    assert answers.same_number("7", "8") == 0.0
    assert answers.same_number(None, "7") == 0.0
    assert answers.same_number("1.2.3", "1.2.3") == 1.0
    assert answers.same_number("1.2.3", "1") == 0.0


def test_entities_are_read_from_the_hubs_wording() -> None:
    text = "Silicium de Provence SAS is an organization, Evergreen Solar Inc is an organization, Smith is a person."
    assert answers.entities_of(text) == [
        ("Silicium de Provence SAS", "organization"),
        ("Evergreen Solar Inc", "organization"),
        ("Smith", "person"),
    ]
    said, right = "Smith is a person, Paris is a person.", "Smith is a person, Paris is a location."
    assert answers.entity_counts(said, right) == (1, 2, 2)
    assert answers.entity_counts("nobody", "Smith is a person.") == (0, 0, 1)
    assert answers.entity_counts("A is a person, A is a person.", "A is a person.") == (1, 1, 1)


@pytest.mark.parametrize(
    ("text", "strict", "pixiu", "fingpt"),
    [
        ("positive", "positive", "positive", "positive"),
        ("Negative.\nQuestion", "negative", "negative", "negative"),
        ("It is positive, not negative", None, "negative", "positive"),  # each rule takes its own first
        ("I cannot say", None, None, "neutral"),
        ("", None, None, "neutral"),
        ("the positives", None, "positive", "positive"),
    ],
)
def test_a_written_choice_by_the_strict_and_by_the_lenient_rules(
    text: str, strict: str | None, pixiu: str | None, fingpt: str
) -> None:
    names = ["negative", "neutral", "positive"]
    assert answers.written_choice(text, names) == strict
    assert answers.contained_choice(text, names) == pixiu
    assert answers.contained_or_neutral(text, names) == fingpt


@pytest.mark.parametrize(
    ("said", "right", "score"),
    [
        ("The  main risk.", "main risk", 1.0),
        ("main risks", "main risk", 0.0),
        ("1.5", "15", 0.0),
        ("-5", "5", 0.0),
        ("\u22125", "-5", 1.0),
        ("+", "-", 0.0),
        ("", "A", 0.0),
        ("the", "A", 0.0),
        (" A ", "a", 1.0),
        ("C++", "C#", 0.0),
        ("$1,000", "1000", 1.0),
        ("637", "637.0", 1.0),
        ("-3%", "3", 0.0),
        ("50%", "50", 0.0),
        ("007", "7", 0.0),  # a code, not a number
        ("12345678901234567", "12345678901234568", 0.0),
        ("5-10", "510", 0.0),
        ("café", "cafe\u0301", 1.0),
        ("北京。", "北京", 1.0),
        ("revenue was $1.5 million", "revenue was 15 million", 0.0),
        ("It's **42**", "its 42", 1.0),
        ("5a", "5", 0.0),
        ("<50%", ">50%", 0.0),
    ],
)
def test_exact_match_sees_through_case_articles_and_points_and_never_through_signs(
    said: str, right: str, score: float
) -> None:
    assert answers.exact_match(said, right) == score
    assert answers.exact_match(right, said) == score


@pytest.mark.parametrize(
    ("text", "choices", "choice"),
    [("", "ABCD", None), ("the", "ABCD", None), ("?\nB", "ABCD", None), ("a.", "ABCD", "A"), ("-", "+-", "-")],
)
def test_a_choice_of_one_sign_is_said_or_not(text: str, choices: str, choice: str | None) -> None:
    assert answers.written_choice(text, list(choices)) == choice


WORDS = st.lists(
    st.sampled_from(["the", "cat", "sat", "on", "a", "mat", "with", "dogs", "running", "home"]), max_size=12
).map(" ".join)


@given(WORDS, WORDS)
@settings(max_examples=60, deadline=None)
def test_rouge_is_rouge_scores(said: str, right: str) -> None:
    expected = RougeScorer(["rougeL"], use_stemmer=True).score(right, said)["rougeL"].fmeasure
    assert answers.rouge_l(said, right) == pytest.approx(expected)


@given(st.text(st.characters(max_codepoint=127), max_size=40), st.text(st.characters(max_codepoint=127), max_size=40))
@settings(max_examples=60, deadline=None)
def test_rouge_of_ascii_text_is_rouge_scores(said: str, right: str) -> None:
    expected = RougeScorer(["rougeL"], use_stemmer=True).score(right, said)["rougeL"].fmeasure
    if any(char.isalnum() for char in said) and any(char.isalnum() for char in right):
        assert answers.rouge_l(said, right) == pytest.approx(expected)


SCRIPTS = [
    "仓库里有一些旧的木头桌子和椅子",
    "Старые деревянные столы стоят на складе",
    "पुराने लकड़ी के मेज गोदाम में हैं",
    "ラーメンを食べました",
    "ฉันชอบกินข้าว",
    "Größe über Äcker",
    "창고에는 오래된 나무 책상이 있다",
    "في المستودع طاولات قديمة",
    "red",
    "!?",
    "😀",
]


@pytest.mark.parametrize("text", SCRIPTS)
def test_a_text_is_like_itself_in_any_script(text: str) -> None:
    from regimen.results import aggregate

    assert answers.rouge_l(text, text) == 1.0
    assert answers.exact_match(text, text) == 1.0
    assert aggregate(["bleu"], {"bleu_counts": [answers.bleu_counts(text, text)]})["bleu"] == 1.0


@pytest.mark.parametrize(
    ("said", "right", "score"),
    [
        ("Größe", "Gräße", 0.0),
        ("año", "aéo", 0.0),
        ("café", "cafe\u0301", 1.0),
        ("木头桌子", "木头椅子", 0.75),  # three of four characters
        ("старый стол", "старый стул", 0.5),
    ],
)
def test_rouge_tells_words_of_any_script_apart(said: str, right: str, score: float) -> None:
    assert answers.rouge_l(said, right) == score


@given(st.lists(st.tuples(WORDS, WORDS.filter(bool)), min_size=1, max_size=8))
@settings(max_examples=40, deadline=None)
def test_summed_counts_give_sacrebleus_corpus_score(pairs: list[tuple[str, str]]) -> None:
    """Its own default where a reference has four words; else with n-grams as long as the longest reference."""
    from regimen.results import aggregate

    counts = [answers.bleu_counts(said, right) for said, right in pairs]
    order = min(4, max(len(right.split()) for _, right in pairs))
    systems, references = [said for said, _ in pairs], [[right for _, right in pairs]]
    expected = BLEU(max_ngram_order=order).corpus_score(systems, references).score / 100
    assert order < 4 or expected == corpus_bleu(systems, references).score / 100
    assert aggregate(["bleu"], {"bleu_counts": counts})["bleu"] == pytest.approx(expected, abs=1e-9)


def test_bleu_of_several_right_answers_is_sacrebleus() -> None:
    from regimen.results import aggregate

    rights = ["the cat sat on the mat", "a cat was sitting on the mat today"]
    expected = corpus_bleu(["the cat was on the mat"], [[right] for right in rights]).score / 100
    counts = [answers.bleu_counts("the cat was on the mat", rights)]
    assert aggregate(["bleu"], {"bleu_counts": counts})["bleu"] == pytest.approx(expected)
