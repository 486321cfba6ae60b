"""Reading studies: what is right unfolds, what is wrong is named with its place, all of it at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from regimen.errors import StudyError, UsageError
from regimen.study import Study, dump_study, load_study
from regimen.study.file import parse_mixture
from regimen.study.positions import read_document
from tests.support.studies import MINIMAL


def load(text: str, tmp_path: Path, **options: Any) -> Study:
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return load_study(path, **options)


def faults(text: str | bytes, tmp_path: Path) -> list[str]:
    path = tmp_path / "study.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    with pytest.raises(StudyError) as caught:
        load_study(path)
    return list(caught.value.faults)


def test_short_forms_unfold(tmp_path: Path) -> None:
    study = load(MINIMAL, tmp_path)
    assert [(e.id, e.title, e.kind, e.steps, e.start_from) for e in study.experiments] == [
        ("1-mood", "Zero-shot: Mood", "baseline", 0, None),
        ("tune-20", "Tune mood", "finetune", 20, None),
        ("tune-40", "Tune mood", "finetune", 40, None),
        ("both-read", "Chain: read", "pretrain", 10, None),
        ("both-tune", "Chain: tune", "finetune", 20, "both-read"),
    ]
    assert study.experiment("both-tune").legs[0].mixture == {"mood": 3.0}


@pytest.mark.parametrize("profile", ["full", "pilot", "demo"])
def test_a_resolved_study_is_a_study_file(profile: str, tmp_path: Path) -> None:
    study = load_study("qwen2-finance", profile)
    assert load(dump_study(study), tmp_path) == study


def test_all_faults_come_at_once_each_with_its_line(tmp_path: Path) -> None:
    text = (
        MINIMAL.replace("scoring: choice", "scoring: guess")
        .replace("held_out: {share: 0.2}", "held_out: {share: 2}")
        .replace("names: [bad, good]", "names: [bad, bad]")
        .replace("warmup_steps: 2}", "warmup_steps: -2, colour: red}")
    )
    found = faults(text, tmp_path)
    assert [fault.split(":")[0] for fault in found] == [
        "line 3, schedule.warmup_steps",
        "line 3, schedule.colour",
        "line 10, sources.mood.form.label",
        "line 11, sources.mood.held_out.share",
        "line 13, tasks.mood.scoring",
    ]
    assert "this key is not known here" in found[1]
    assert "-2" in found[0]
    assert "at least two different names" in found[2]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("finetune: {tune: mood}", "finetune: {tune: moood}", "no source 'moood'; there is mood"),
        ("finetune: {tune: mood}", "finetune: {tune: news}", "'news' has no prompt and answer to fine-tune on"),
        ("source: [mood]", "source: [nothing]", "no source 'nothing' in this study"),
        ("source: [mood]", "source: [news]", "neither `label` nor `options`"),
        ('finetune: "mood:3"', 'finetune: "mood:-3"', "the weight -3 of 'mood' must be positive"),
        ('finetune: "mood:3"', 'finetune: "mood:0"', "the weight 0 of 'mood' must be positive"),
        ('finetune: "mood:3"', 'finetune: "mood:nan"', "the weight nan of 'mood' must be positive"),
        ('finetune: "mood:3"', 'finetune: "mood:much"', "the weight 'much' of 'mood' is not a number"),
        ('finetune: "mood:3"', 'finetune: "mood:1 mood:2"', "'mood' appears twice"),
        ("{id: read, pretrain: news, steps: 10}", "{id: read, pretrain: news}", "neither `steps`, `epochs` nor `legs`"),
        ("steps: [20, 40]", "steps: [20, 20]", "this id appears twice"),
        ("{tune: mood}", "{zero-shot: {mixture: mood, steps: 20}}", "the id 'zero-shot' means the base; choose"),
        ("steps: [20, 40]", "steps: [20, 0]", "greater than or equal to 1"),
        ("Tune {sources}", "Tune {colour}", "may only refer to {mixture}, {sources}"),
        ('"{{ text }}\\nMood:"', '"{{ text"', "not a valid template"),
        ("study: small", "study: small\nstudy: other", "this key appears twice"),
        ("names: [bad, good]", "names: [no, yes]", "no, yes, on, off, true and false are truth values to YAML"),
        ("base: {id", "bass: {id", "this key is not known here"),
    ],
)
def test_a_fault_is_one_clear_sentence(old: str, new: str, says: str, tmp_path: Path) -> None:
    assert old in MINIMAL
    found = faults(MINIMAL.replace(old, new), tmp_path)
    assert any(says in fault for fault in found), found
    assert all(fault.startswith("line ") for fault in found)


def test_a_profile_fault_is_placed_in_its_profile(tmp_path: Path) -> None:
    text = MINIMAL + "profiles:\n  quick:\n    batch: {sequences: 0}\n"
    assert faults(text, tmp_path) == [
        "line 25, profiles.quick.batch.sequences: input should be greater than or equal to 1 (not 0)"
    ]


def test_a_profile_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    text = MINIMAL + "profiles:\n  all: {}\n  quick: {batch: {block: 64}, steps: {divide: 10, at_least: 3}}\n"
    whole, quick = (load(text, tmp_path, profile=name) for name in ("all", "quick"))
    assert quick.batch.block == 64
    assert quick.batch.sequences == whole.batch.sequences
    assert [e.steps for e in quick.experiments] == [0, 3, 4, 3, 3]
    with pytest.raises(UsageError, match="no profile 'slow'; there is all, quick"):
        load(text, tmp_path, profile="slow")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "is empty"),
        (b"# only a comment\n", "is empty"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not UTF-8"),
        (b"study: \x00\x01", "control characters"),
        (b"- a\n- b\n", "a study is a mapping"),
        (b"study: [unclosed\n", "not valid YAML"),
        (b"study: !!python/object/apply:os.system ['echo hi']\n", "line 1"),
        (b"study: !!python/name:os.system\n", "line 1"),
        (b"a: &a [*a]\n", "anchors multiply"),
        (b"a: &a [1,1,1,1,1,1,1,1,1]\n" + b"".join(
            b"%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n" % ((n + 1, n + 1) + (n,) * 9) for n in range(97, 105)
        ), "anchors multiply"),
        (b"[" * 5000, "not valid YAML"),
        (b"? [complex, key]\n: 1\n", "a key must be plain text"),
        (b"study: x\n<<: [1, 2]\n", "takes a mapping, or a list of mappings"),
        (b"x" * 2_100_000, "the limit is 2,000,000"),
    ],
    ids=lambda value: str(value)[:24],
)  # fmt: skip
def test_what_is_no_study_is_refused_in_a_sentence(text: bytes, says: str, tmp_path: Path) -> None:
    assert says in "; ".join(faults(text, tmp_path))


def test_unknown_names_come_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no packaged study 'qwen2-finanse'; there is qwen2-finance"):
        load_study("qwen2-finanse")
    with pytest.raises(UsageError, match="no study file 'nowhere.yaml'"):
        load_study("nowhere.yaml")
    with pytest.raises(UsageError, match="no experiment 'tune-21'; there is tune-20"):
        load(MINIMAL, tmp_path).experiment("tune-21")


def test_a_study_cannot_be_changed(tmp_path: Path) -> None:
    study = load(MINIMAL, tmp_path)
    with pytest.raises(ValueError, match="frozen"):
        study.seed = 3  # type: ignore[misc]


@given(
    st.dictionaries(
        st.from_regex(r"[a-z0-9][a-z0-9.-]{0,10}", fullmatch=True), st.floats(1e-6, 1e6), min_size=1, max_size=6
    )
)
@settings(max_examples=50, deadline=None)
def test_a_written_mixture_reads_back(mixture: dict[str, float]) -> None:
    assert parse_mixture(" ".join(f"{name}:{weight!r}" for name, weight in mixture.items())) == mixture


@given(st.binary(max_size=300))
@example(b"\x7f")
@settings(max_examples=150, deadline=None)
def test_no_bytes_make_reading_crash(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "study.yaml"
    path.write_bytes(data)
    with pytest.raises(StudyError):
        load_study(path)


CHAINED = """\
  - {id: parent, phase: tune, title: t, adapter: {rank: 4, alpha: 8}, legs: [{finetune: mood, steps: 3}]}
  - {id: child, phase: tune, title: t, start_from: parent, adapter: %s, legs: [{finetune: mood, steps: 2}]}
"""


@pytest.mark.parametrize(
    ("adapter", "differing"),
    [
        ("{rank: 16, alpha: 8}", "rank 16 instead of 4"),
        ("{rank: 4, alpha: 32}", "alpha 32 instead of 8"),
        ("{rank: 4, alpha: 8, targets: [q_proj, k_proj]}", "targets q_proj+k_proj instead of all-linear"),
        ("{method: full}", "method full instead of lora"),
    ],
)
def test_a_chain_that_trains_on_keeps_its_adapter(adapter: str, differing: str, tmp_path: Path) -> None:
    (fault,) = faults(MINIMAL + CHAINED % adapter, tmp_path)
    assert fault == (
        f"line 24, experiment child: 'child' continues 'parent' with another adapter ({differing}), but a chain trains "
        "one adapter on; give both the same `adapter`, or set `schedule.chain` to merge_then_new"
    )


@pytest.mark.parametrize("adapter", ["{rank: 16, alpha: 8}", "{rank: 4, alpha: 32}", "{targets: [q_proj]}"])
def test_a_chain_that_merges_may_go_on_with_another_adapter(adapter: str, tmp_path: Path) -> None:
    text = MINIMAL.replace("warmup_steps: 2}", "warmup_steps: 2, chain: merge_then_new}")
    assert load(text + CHAINED % adapter, tmp_path).experiment("child").start_from == "parent"
    (fault,) = faults(text + CHAINED % "{method: full}", tmp_path)
    assert "'child' trains all weights (method full), so there is no adapter to merge" in fault


@pytest.mark.parametrize("seed", [2**40, 2**31, -1, 1.5, True, "7"])
def test_a_seed_put_in_is_checked_as_the_files_is(seed: Any) -> None:
    with pytest.raises(UsageError, match=r"--seed is .*; it must be (a whole number, )?from 0 to 2,147,483,647"):
        load_study("qwen2-finance", "demo", seed=seed)


def test_the_largest_seed_is_taken() -> None:
    assert load_study("qwen2-finance", "demo", seed=2**31 - 1).seed == 2**31 - 1


def test_mappings_are_merged() -> None:
    """A mapping's own keys count before merged ones, and of several merged ones the first."""
    text = """
a: &a {x: 1, y: 1, z: 1}
b: &b {x: 2, y: 2, w: 2}
c: {<<: [*a, *b], x: 3}
"""
    value = read_document(text, "x").value
    assert value["c"] == {"x": 3, "y": 1, "z": 1, "w": 2}
