"""End points and their text form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from regimen.study import EndPoint, shares
from regimen.study.schema import Adapter, Experiment, Leg

IDS = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,20}", fullmatch=True)
COUNTS = st.integers(1, 9999)
END_POINTS = st.one_of(
    st.builds(EndPoint, IDS),
    st.builds(EndPoint, IDS, leg=COUNTS),
    st.builds(EndPoint, IDS, shots=COUNTS),
)


@given(END_POINTS)
def test_the_text_of_an_end_point_gives_it_back(end: EndPoint) -> None:
    assert EndPoint.parse(str(end)) == end
    adapter = TypeAdapter(EndPoint)
    assert adapter.dump_python(end) == str(end)
    assert adapter.validate_json(adapter.dump_json(end)) == adapter.validate_python(end) == end


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("3c-6-glue", EndPoint("3c-6-glue")),
        ("3c-6-glue@2", EndPoint("3c-6-glue", leg=2)),
        ("1-sst2:5-shot", EndPoint("1-sst2", shots=5)),
        ("zero-shot", EndPoint.base()),
    ],
)
def test_the_forms_that_files_hold(text: str, end: EndPoint) -> None:
    assert EndPoint.parse(text) == end
    assert end.on("sst2") == "sst2" + text.removeprefix(end.experiment)


@pytest.mark.parametrize("text", ["", "a@", "a@0", "a@x", "a@1@2", "a:5", "a:0-shot", "a@1:5-shot", "@2", "a b"])
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not an end point; write an experiment's id"):
        EndPoint.parse(text)


def test_a_single_leg_is_plain_where_nothing_of_the_study_is_overridden() -> None:
    leg = Leg(kind="finetune", mixture={"a": 70, "b": 30}, steps=5)
    one = Experiment(id="one", phase="3", title="", legs=(leg,))
    control = Experiment(id="one", phase="3", title="", legs=(leg,), adapter=Adapter(rank=8))
    chain = Experiment(id="one", phase="3", title="", legs=(leg,), start_from="before")
    assert (one.single_leg, one.plain_leg) == (leg, leg)
    assert (control.single_leg, control.plain_leg) == (leg, None)
    assert (chain.single_leg, chain.plain_leg) == (None, None)
    assert Experiment(id="one", phase="3", title="", legs=(leg, leg)).single_leg is None
    assert leg.shares == shares({"a": 7, "b": 3}) == {"a": 0.7, "b": 0.3}


def test_the_last_legs_end_is_the_experiments_own() -> None:
    leg = Leg(kind="finetune", mixture={"a": 1}, steps=5)
    chain = Experiment(id="chain", phase="3", title="", legs=(leg, leg))
    assert [str(chain.end_of_leg(number)) for number in (1, 2)] == ["chain@1", "chain"]
