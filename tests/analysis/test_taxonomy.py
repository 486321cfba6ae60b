"""RQ4 over a design that is not crossed: gains where a strategy trained and elsewhere, no claim on which is best."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from regimen.analysis.evidence import Evidence
from regimen.analysis.exploratory_grid import exploratory_grid
from regimen.analysis.relative_gains import RelativeGains
from regimen.analysis.rules import Rules
from regimen.analysis.strategy_cells import StrategyCells, strategy_cells, whole_recipes
from regimen.analysis.taxonomy import Taxonomy, universal
from regimen.plan import Plan, compile_plan
from regimen.results.tables import RunTables
from regimen.study import load_study
from regimen.study.questions import RankRule
from tests.support.simulated_runs import simulate

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


def universal_of(found: Taxonomy) -> tuple[str, str, dict[str, StrategyCells]]:
    cells = strategy_cells(found.relative)
    verdict, summary = universal(found.relative, cells, None, RankRule(kind="rank"))
    return verdict, summary, {row.strategy: row for row in cells}


def test_the_rows_are_the_strategies_best_first(taxonomy: Made) -> None:
    found = taxonomy(lambda end, task: {"both": 0.95, "read": 0.5}.get(end, 0.45))
    rows = {row.strategy: row for row in found.rows()}
    assert next(iter(rows)) == "multi-task"
    assert rows["multi-task"].rank_ci == (1.0, 1.0)
    letters = rows["multi-task"].groups["letters"]
    assert letters is not None
    assert letters.gain == pytest.approx(1.0)
    assert rows["direct fine-tuning"].experiments == ["tune-mood", "tune-topic"]
    assert rows["direct fine-tuning"].gpu_hours == pytest.approx(20 / 2000)


def test_a_strategy_that_leads_since_it_trains_on_more_tasks_is_not_called_universal(taxonomy: Made) -> None:
    """Each model learns the tasks that it trains on alike; multi-task trains on two, direct on one each."""

    def skill(end: str, task: str) -> float:
        return 0.9 if end == "both" or end == f"tune-{task}" else 0.4

    verdict, summary, cells = universal_of(taxonomy(skill))
    assert verdict == "not identifiable"
    assert summary.startswith("Not identifiable as designed: the strategies train on different tasks")
    assert (cells["multi-task"].trained_on_share, cells["direct fine-tuning"].trained_on_share) == (1.0, 0.5)
    both, direct = cells["multi-task"].trained_on, cells["direct fine-tuning"].trained_on
    assert both is not None
    assert direct is not None
    assert both.gain == pytest.approx(direct.gain, abs=0.15)
    assert cells["multi-task"].elsewhere is None
    away = cells["direct fine-tuning"].elsewhere
    assert away is not None
    assert abs(away.gain) < 0.2
    assert "direct fine-tuning trained on 50% of its cells: gain there +" in summary
    assert "In this one run, with chains whole and stages once: " in summary


def test_a_stage_counts_with_its_chain(full_plan: Plan) -> None:
    found = whole_recipes(full_plan.study)
    assert found["sequential"] == ["3c-1-twitter-sentiment", "3c-2-financial-qa", "3c-6-glue"]
    assert all(name.startswith("3a-") for name in found["direct fine-tuning"])


def test_a_mean_that_lies_clearly_below_zero_shot_is_harm(taxonomy: Made) -> None:
    def skill(end: str, task: str) -> float:
        return (0.95 if task == "mood" else 0.2) if end == "both" else 0.45

    assert taxonomy(skill).harmed("multi-task") == ["topic"]


def test_where_nothing_gains_the_design_is_judged_all_the_same(taxonomy: Made) -> None:
    verdict, summary, cells = universal_of(taxonomy(lambda end, task: 0.5))
    assert verdict == "not identifiable"
    assert "gain there not measured" in summary
    assert cells["multi-task"].trained_on is None
