"""RQ4's rule: a way of training that leads everywhere and harms nothing, and nothing less, is universal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from regimen.analysis.evidence import Evidence
from regimen.analysis.exploratory_grid import exploratory_grid
from regimen.analysis.relative_gains import RelativeGains
from regimen.analysis.rules import Rules
from regimen.analysis.taxonomy import Taxonomy, universal
from regimen.plan import compile_plan
from regimen.results.tables import RunTables
from regimen.study import load_study
from regimen.study.questions import RankRule
from tests.support.simulated_runs import simulate, without

RULE = RankRule(kind="rank")
RULES = Rules(seed=1, resamples=1000, swaps=1999)
STUDY = """\
study: small
base: {id: some/model, origin: folder}
schedule: {learning_rate: {pretrain: 1.0e-3, finetune: 2.0e-3}, warmup_steps: 2}
phases: {base: {title: Base}, read: {title: Reading}, tune: {title: Tuning}, chain: {title: Chain}}
sources:
  news: {files: [news.jsonl], form: {text: "{{ text }}"}, held_out: {share: 0.1}}
  mood:
    files: [mood.jsonl]
    form: {prompt: "{{ text }}\\nMood:", label: {column: label, names: [bad, good]}}
    held_out: {share: 0.2}
  topic:
    files: [topic.jsonl]
    form: {prompt: "{{ text }}\\nTopic:", label: {column: label, names: [bad, good]}}
    held_out: {share: 0.2}
tasks:
  mood: {title: Mood, group: reviews, source: [mood], scoring: choice, metrics: [accuracy]}
  topic: {title: Topic, group: letters, source: [topic], scoring: choice, metrics: [accuracy]}
experiments:
  - {phase: base, title: "Zero-shot: {task}", baseline: every-task}
  - {phase: read, title: Read, steps: 20, pretrain: {read: news}}
  - {phase: tune, title: "Tune {sources}", steps: 20, finetune: {tune-mood: mood, tune-topic: topic}}
  - {phase: tune, title: "Both {mixture}", steps: 40, finetune: {both: "mood:1 topic:1"}}
"""


def taxonomy_of(tables: RunTables) -> Taxonomy:
    evidence = Evidence(tables, RULES)
    return Taxonomy(RelativeGains(evidence, exploratory_grid(evidence)))


@pytest.fixture
def taxonomy(tmp_path: Path) -> Callable[[Callable[[str, str], float]], Taxonomy]:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY, encoding="utf-8")

    def made(skill: Callable[[str, str], float]) -> Taxonomy:
        tables = simulate(tmp_path / "run", compile_plan(load_study(path)), skill, items=200)
        return taxonomy_of(tables)

    return made


Made = Callable[[Callable[[str, str], float]], Taxonomy]


def test_one_that_leads_everywhere_is_universal(taxonomy: Made) -> None:
    found = taxonomy(lambda end, task: {"both": 0.95, "read": 0.5}.get(end, 0.45))
    verdict, summary = universal(found, RULE)
    assert verdict == "yes"
    assert summary.startswith("Yes: multi-task has the best mean relative gain, 1.000")
    assert "n = 400 items, 2 tasks" in summary
    rows = {row.strategy: row for row in found.rows()}
    assert next(iter(rows)) == "multi-task"
    assert rows["multi-task"].rank_ci == (1.0, 1.0)
    letters = rows["multi-task"].groups["letters"]
    assert letters is not None
    assert letters.gain == pytest.approx(1.0)
    assert rows["direct fine-tuning"].experiments == ["tune-mood", "tune-topic"]
    assert rows["direct fine-tuning"].gpu_hours == pytest.approx(20 / 2000)


def test_one_that_leads_here_and_harms_there_is_not(taxonomy: Made) -> None:
    def skill(end: str, task: str) -> float:
        if end == "both":
            return 0.95 if task == "mood" else 0.2
        return 0.6 if (end, task) == ("read", "topic") else 0.45

    found = taxonomy(skill)
    assert found.harmed("multi-task") == ["topic"]
    verdict, summary = universal(found, RULE)
    assert verdict == "no"
    assert "Best by group: reviews: multi-task" in summary


def test_where_all_training_harms_zero_shot_is_no_universal_recipe(taxonomy: Made) -> None:
    def skill(end: str, task: str) -> float:
        return {"zero-shot": 0.6, "tune-mood": 0.9 if task == "mood" else 0.05}.get(end, 0.2)

    verdict, summary = universal(taxonomy(skill), RULE)
    assert verdict == "no"
    assert summary.startswith("No: no strategy gains over all tasks; zero-shot has the best mean relative gain, 0.000")


def test_where_nothing_gains_there_is_no_scale(taxonomy: Made) -> None:
    verdict, summary = universal(taxonomy(lambda end, task: 0.5), RULE)
    assert verdict == "not identifiable"
    assert "on no task" in summary


def test_it_waits_for_every_score(taxonomy: Made) -> None:
    found = taxonomy(lambda end, task: 0.95 if end == "both" else 0.4)
    tables: RunTables = found.evidence.tables
    less = without(tables, lambda cell: (cell.experiment, cell.task) == ("read", "topic"))
    verdict, summary = universal(taxonomy_of(less), RULE)
    assert verdict == "not yet"
    assert summary == "Not yet: 1 scores of the full plan are missing, first read on topic."
