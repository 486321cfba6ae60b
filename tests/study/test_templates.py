"""The templates of rows: filters of the trade, and nothing that a stranger's study could misuse."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import TemplateError

from regimen.study.contents import put_in
from regimen.study.template_limits import TooMuchWork
from regimen.study.templates import (
    bytes_literal,
    check_template,
    columns_of,
    compiled,
    drop_calculations,
    entities,
    evaluate,
    fill,
    table_rows,
)


def test_a_table_becomes_lines_of_cells() -> None:
    html = (
        "text <table class='wikitable'><tr><td>1</td><td>2017</td></tr><tr><td>debt</td><td>84.0</td></tr></table> more"
    )
    assert table_rows(html) == "text \n1 | 2017\ndebt | 84.0\n more"


def test_calculator_marks_go() -> None:
    assert drop_calculations("She eats <<3+4=7>>7 eggs.\n#### 7") == "She eats 7 eggs.\n#### 7"


def test_tags_become_entities() -> None:
    # tner/fin's label ids
    names = ["O", "B-PER", "B-LOC", "B-ORG", "B-MISC", "I-PER", "I-LOC", "I-ORG", "I-MISC"]
    tokens = ["Jane", "Doe", "of", "Acme", "Corp", "moved", "to", "Acme"]
    assert entities([1, 5, 0, 3, 7, 0, 0, 2], tokens, names) == [
        ("Jane Doe", "PER"),
        ("Acme Corp", "ORG"),
        ("Acme", "LOC"),
    ]
    assert entities(["I-PER", "I-PER", "I-ORG"], ["a", "b", "c"]) == [("a b", "PER"), ("c", "ORG")]


@pytest.mark.parametrize(
    ("text", "read"), [("b'3*x\\n'", "3*x\n"), ('b"it\'s"', "it's"), ("plain", "plain"), ("b'open", "b'open")]
)
def test_printed_bytes_are_read(text: str, read: str) -> None:
    assert bytes_literal(text) == read


def test_columns_are_found_and_local_names_are_not() -> None:
    assert columns_of("{% for o in options %}{{ o }}{% endfor %}{{ q | trim }}{% set x = 1 %}{{ x }}") == {
        "options",
        "q",
    }


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ x.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os }}",
        "{{ x.append(1) }}",
        "{% for i in range(10**9) %}{% endfor %}",
    ],
)
def test_a_template_cannot_reach_out(template: str) -> None:
    check_template(template)
    with pytest.raises((TemplateError, OverflowError)):
        fill(template, {"x": [1]})


def test_a_missing_column_is_an_error_not_a_blank() -> None:
    with pytest.raises(TemplateError):
        fill("{{ missing }}", {"x": 1})


PLAIN = [
    "{{ a }}",
    "{{a}}\n{{ b }}\n",
    "Question: {{ a }}\nAnswer:",
    "x",
    "",
    "{{ a -}} \n {{ b }}",
    "{{ range }}{{ a }}",
]


@given(
    st.sampled_from([*PLAIN, "{{ a | upper }}", "{% if b %}{{ a }}{% endif %}", "{{ self }}{{ a }}", "{{ a ~ b }}"]),
    st.fixed_dictionaries(
        {
            "a": st.text(),
            "b": st.one_of(st.text(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans()),
        }
    ),
)
def test_a_template_that_only_puts_columns_in_is_filled_as_jinja_fills_it(
    template: str, row: dict[str, object]
) -> None:
    assert fill(template, row | {"a": "<&> " + str(row["a"])}) == compiled(template).render(
        row | {"a": "<&> " + str(row["a"])}
    )


@pytest.mark.parametrize("value", [["x"], {"x": 1}])
def test_a_structure_is_not_printed_as_if_it_were_text(value: object) -> None:
    for template in ("{{ a }}", "{{ a | string }}{{ a }}"):
        with pytest.raises(TypeError, match="is not text"):
            fill(template, {"a": value})


def test_an_expression_keeps_its_type() -> None:
    assert evaluate("{{ options | letters }}", {"options": ["x", "y", "z"]}) == ["A", "B", "C"]


def test_what_a_template_names_itself_is_no_column() -> None:
    template = "{% for a, b in xs %}{{ a }}{{ b }}{{ loop.last }}{% endfor %}{% set y = z %}{{ y }}{{ range(3) }}"
    assert columns_of(template) == {"xs", "z"}


HEAVY = {
    "a repeated text": "{{ 'a' * 10 ** 9 }}",
    "a great power": "{{ 2 ** (10 ** 10) }}",
    "a great shift of brackets": "{{ (9 ** 999) ** 999 }}",
    "loops inside loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "text in loops": "{% for a in range(99999) %}" + "x" * 999 + "{% endfor %}",
    "doubling with +": "{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "doubling with ~": "{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "doubling in a block": "{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set n.x %}{{ n.x }}{{ n.x }}"
    "{% endset %}{% endfor %}",
    "a macro that calls itself": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}"
    "{{ f(60) }}",
    "a macro without end": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "center": "{{ q | center(10 ** 9) }}",
    "ljust": "{{ q.ljust(10 ** 9) }}",
    "indent": "{{ ('a\n' * 99999) | indent(10 ** 6) }}",
    "% with a width": "{{ '%999999999d' % 1 }}",
    "% with a computed width": "{{ '%*d' % (999999999, 1) }}",
    "format with a width": "{{ '{:>999999999}'.format(1) }}",
    "the filter format": "{{ '%999999999d' | format(1) }}",
    "replace": "{{ ('a' * 99999) | replace('a', 'b' * 99999) }}",
    "the method replace": "{{ ('a' * 99999).replace('a', 'b' * 99999) }}",
    "join": "{{ range(99999) | join('b' * 99999) }}",
    "the method join": "{{ ('b' * 99999).join(['c'] * 99999) }}",
}


@pytest.mark.parametrize("source", HEAVY.values(), ids=HEAVY.keys())
def test_a_template_that_multiplies_is_refused_soon(source: str) -> None:
    """Loading it takes no time (nothing is worked out before there is a row), a row costs a second at most."""
    begun = time.process_time()
    check_template(source)
    columns_of(source)
    assert time.process_time() - begun < 1
    with pytest.raises(TooMuchWork):
        fill(source, {"q": "a"})
    assert time.process_time() - begun < 10


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ q | upper }}, {{ n + 1 }}, {{ 'In 2023: %d' % n }}, {{ '{:>5}|{:.2f}'.format(q, 1.5) }}",
         "AB, 8, In 2023: 7,    ab|1.50"),
        ("{{ words | map('upper') | join(', ') }} {{ '-' * 3 }} {{ words | join }}", "ONE, TWO --- onetwo"),
        ("{% for w in words %}{{ loop.index }}/{{ loop.length }} {{ w }}{{ ';' if not loop.last }}{% endfor %}",
         "1/2 one;2/2 two"),
        ("{{ q ~ n ~ none }} {{ 'a-b' | replace('-', '+') }} {{ q.replace('a', 'c') | center(6) }}|",
         "ab7None a+b   cb  |"),
        ("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(q) }}{{ '%s' | format(2020) }}", "<ab>2020"),
    ],
)  # fmt: skip
def test_what_a_form_of_text_needs_still_works(source: str, text: str) -> None:
    assert fill(check_template(source), {"q": "ab", "n": 7, "words": ["one", "two"]}) == text


def test_a_long_document_may_be_cut_and_joined() -> None:
    row: dict[str, object] = {"text": "word " * 1_000_000}
    assert len(fill("{{ text | trim }}{{ text[:10] }}{{ text.split() | join(' ') }}", row)) > 9_000_000


@pytest.mark.parametrize(
    "source",
    [
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{{ " + "[" * 90 + "]" * 90 + " }}",
        "{% if q %}" * 300 + "{% endif %}" * 300,
        "{% for a in q %}" * 30 + "{% endfor %}" * 30,
        "{% include 'other' %}",
        "{{ lipsum() }}{{ q | random }}",
    ],
    ids=["brackets", "lists", "blocks", "loops", "another template", "chance"],
)
def test_what_cannot_be_a_form_is_refused_when_it_is_loaded(source: str) -> None:
    with pytest.raises(ValueError, match="not a valid template"):
        check_template(source)


def test_a_column_of_any_name_is_reached_by_row() -> None:
    row: dict[str, object] = {"Ticket Text": "It broke", "title": "T", "n": 2}
    plain, logic = (
        '{{ row["Ticket Text"] }} {{ row.title }}',
        '{% if row["n"] > 1 %}{{ row["Ticket Text"] }}{% endif %}',
    )
    assert fill('<{{ row["Ticket Text"] }}>', row) == "<It broke>"
    assert fill(plain, row) == "It broke T"
    assert fill(logic, row) == "It broke"
    assert evaluate('{{ row["n"] + n }}', row) == 4
    assert columns_of(plain) == {"Ticket Text", "title"}
    assert columns_of(logic) == {"Ticket Text", "n"}
    assert columns_of('{% for name in names %}{{ row[name] }}{{ row.get("x") }}{% endfor %}') == {"names"}
    assert put_in(f"Read: {plain}", row) == ("It broke", "T")


def test_a_column_called_row_and_a_loop_over_rows_stay_what_they_were() -> None:
    assert columns_of("{{ row }}") == {"row"}
    assert fill("{{ row }}", {"row": 3}) == "3"
    loop = "{% for row in table %}{{ row.x }}{{ row['y'] }};{% endfor %}"
    assert columns_of(loop) == {"table"}
    assert fill(loop, {"table": [{"x": 1, "y": 2}]}) == "12;"


def test_a_name_with_blanks_is_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match=r'a column with blanks in its name is written row\["Is Urgent\?"\]'):
        check_template("{{ Is Urgent? }}")
