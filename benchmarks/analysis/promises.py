"""The promises of verdicts where seeds vary, effects differ, and strategies do nothing; it fails if one is broken.

    python -m benchmarks.analysis.promises --studies 400 --out benchmarks/analysis/RESULT.json [--rows RUN]

- "seeds": six equally good recipes, trained with three seeds each; a seed moves a model by itself. Counted: any of
  the five comparisons with the first called a difference (family-wise error), intervals that hold 0, and, where
  zero-shot is behind by the margin, the share that says "no". "unlike": the first's seeds vary five times as much.
- "effects that differ": ten comparisons with zero-shot. Counted: any of five without an effect called a difference
  beside five with effects of all sizes, and how often the mean effect's interval holds its population's mean.
- "strategies permuted": item rows of a real run (`--rows`) are dealt to the cells of a crossed design at random, so
  that no strategy has an effect. Counted: a strategy called clearly ahead, and the verdict yes.

Exits with 1 where an error is clearly above 5% or an interval holds clearly less often than in 93%. Study n is a
function of n alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmarks.analysis.calibration import Count
from scipy.stats import norm
from tests.support.planted_runs import MadeEvidence, MadeTables
from tests.support.planted_study import CROSSED, OTHERS, planted_study

from regimen import open_run
from regimen.analysis.contrasts import Comparison
from regimen.analysis.crossed_cells import crossed
from regimen.analysis.declared_contrasts import judge_contrasts
from regimen.analysis.effects import mean_effect
from regimen.analysis.evidence import Evidence
from regimen.analysis.rules import Rules
from regimen.analysis.statistics.aligned_scores import TaskScores
from regimen.plan import Plan, compile_plan
from regimen.results.tables import RunTables
from regimen.study import ZERO_SHOT, Contrast, EndPoint, Pair, load_study
from regimen.study.questions import RankRule

LIMIT, LEAST = 0.05, 0.93
HARD = 0.4  # the share of an item's difficulty for all models in the variance of an answer
BASE, MARGIN, SEED = 0.6, 0.05, 0.12  # SEED: the spread of seeds in units of the latent skill, about 0.045 of accuracy
RECIPES, SEEDS = 6, 3
TASK = "quiz"
STUDY = """\
study: seeds
base: {id: some/model, origin: folder}
schedule: {learning_rate: {pretrain: 1.0e-3, finetune: 2.0e-3}, warmup_steps: 2}
seeds: SEEDS
margin: {accuracy: 0.05}
sources:
  quiz:
    files: [quiz.jsonl]
    form: {prompt: "{{ text }} is", label: {column: label, names: [bad, good]}}
    held_out: {share: 0.2}
tasks:
  quiz: {title: Quiz, group: all, source: [quiz], scoring: choice, metrics: [accuracy]}
experiments:
  - {phase: base, title: "Zero-shot: {task}", baseline: every-task}
  - {phase: one, title: "{mixture}", steps: 20, finetune: {r0: quiz}}
  FURTHER
"""


@dataclass(frozen=True)
class Promise:
    """What was counted: the scenario, what was promised, and the share with its exact interval."""

    scenario: str
    items: int
    promise: str
    counted: Count

    @property
    def is_kept(self) -> bool:
        """False where the share is clearly beyond what was promised."""
        return self.counted.high >= LEAST if "holds" in self.promise else self.counted.low <= LIMIT

    def record(self) -> dict[str, object]:
        shown = {"share": self.counted.share, "low": self.counted.low, "high": self.counted.high, "of": self.counted.of}
        return {"scenario": self.scenario, "items": self.items, "promise": self.promise, **shown, "kept": self.is_kept}


def of_shares(shares: Sequence[float]) -> Count:
    """The mean of studies' shares, with a normal interval over studies."""
    half = 1.96 * float(np.std(shares, ddof=1)) / len(shares) ** 0.5
    mean = float(np.mean(shares))
    return Count(round(mean, 4), round(mean - half, 4), round(mean + half, 4), len(shares))


def plan_of(text: str) -> Plan:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.yaml"
        path.write_text(text, encoding="utf-8")
        return compile_plan(load_study(path))


def recipes_plan(recipes: int, seeds: int) -> Plan:
    """Recipes r0, r1, ... on one task, each of another length."""
    lines = [
        f'- {{phase: one, title: "{{mixture}}", steps: {20 + n}, finetune: {{r{n}: quiz}}}}' for n in range(1, recipes)
    ]
    return plan_of(STUDY.replace("SEEDS", str(seeds)).replace("FURTHER", "\n  ".join(lines)))


def answers(random: np.random.Generator, skills: Mapping[str, float], items: int) -> TaskScores:
    """0/1 items: an item is right where its difficulty for the model is below the model's latent skill."""
    hard, own = random.standard_normal((items, 1)), random.standard_normal((items, len(skills)))
    right = np.sqrt(HARD) * hard + np.sqrt(1 - HARD) * own < np.array(list(skills.values()))
    sums = np.stack([np.ones(right.shape), right.astype(float)], axis=2)
    return TaskScores(TASK, "accuracy", tuple(skills), sums, items)


def latent(share: float, spread: float) -> float:
    """The latent skill with which a recipe is right on this share, over seeds that vary by `spread`."""
    return float(norm.ppf(share)) * (1 + spread**2) ** 0.5


def seeds_vary(studies: int, items: int, spreads: tuple[float, ...], name: str) -> Iterator[Promise]:
    """Equal recipes with seeds, and the same with zero-shot behind each of them by the margin."""
    plan = recipes_plan(RECIPES, SEEDS)
    tables = MadeTables(plan, items)
    against = [_contrast(f"r{n}", "r0") for n in range(1, RECIPES)]
    zero = [_contrast(f"r{n}", ZERO_SHOT) for n in range(RECIPES)]
    wrong, held, noes = 0, [], []  # the latter two as shares of each study, whose comparisons share a model
    for seed in range(studies):
        found = judged(seed, tables, items, BASE, spreads, [*against])
        wrong += any(one.is_clear for one in found)
        held.append(np.mean([one.low <= 0 <= one.high for one in found]))
        edge = judged(10**6 + seed, tables, items, BASE - MARGIN, spreads, zero)
        noes.append(np.mean([one.rules_out_gain for one in edge]))
    yield Promise(name, items, "family-wise error", Count.of_hits(wrong, studies))
    yield Promise(name, items, "the 95% interval holds the truth", of_shares(held))
    yield Promise(name, items, '"no" with the truth at the margin', of_shares(noes))


def judged(
    seed: int,
    tables: RunTables,
    items: int,
    zero_shot: float,
    spreads: tuple[float, ...],
    contrasts: Sequence[Contrast],
) -> list[Comparison]:
    """The comparisons of one study, in which zero-shot is right on a share of `zero_shot`."""
    random = np.random.default_rng(seed)

    def made(task: str, ends: Mapping[str, str]) -> TaskScores:
        skills = {}
        for end, called in ends.items():
            spread = 0.0 if called == ZERO_SHOT else spreads[int(called[1]) % len(spreads)]
            share = zero_shot if called == ZERO_SHOT else BASE
            skills[end] = latent(share, spread) + spread * random.standard_normal()
        return answers(random, skills, items)

    evidence = MadeEvidence(tables, Rules(seed=seed, resamples=1000, swaps=999), made)
    return [one.comparison for one in judge_contrasts(evidence, contrasts).values() if one.comparison]


def _contrast(of: str, against: str) -> Contrast:
    base = EndPoint.base() if against == ZERO_SHOT else EndPoint(against)
    pair = Pair(of=EndPoint(of), against=base, task=TASK)
    return Contrast(id=of, title=of, group="g", pairs=(pair,))


def effects_differ(studies: int, items: int) -> Iterator[Promise]:
    """Ten recipes of one run: five like zero-shot, and ten of a population of effects for the mean."""
    tables = MadeTables(recipes_plan(10, 1), items)
    contrasts = [_contrast(f"r{n}", ZERO_SHOT) for n in range(10)]
    wrong, held, mean, between = 0, 0, 0.08, 0.08
    for seed in range(studies):
        for nulls in (5, 0):
            random = np.random.default_rng((seed, nulls))
            true = np.where(np.arange(10) < nulls, 0.0, mean + between * random.standard_normal(10))

            def made(task: str, ends: Mapping[str, str], true=true, random=random) -> TaskScores:
                gains = {end: 0.0 if called == ZERO_SHOT else true[int(called[1])] for end, called in ends.items()}
                skills = {end: latent(min(max(0.5 + gain, 0.02), 0.98), 0) for end, gain in gains.items()}
                return answers(random, skills, items)

            evidence = MadeEvidence(tables, Rules(seed=seed, resamples=1000, swaps=999), made)
            found = judge_contrasts(evidence, contrasts)
            if nulls:
                wrong += any(found[f"r{n}"].outcome in ("better", "worse") for n in range(nulls))
            else:
                pooled = mean_effect(evidence, list(found.values()))
                held += pooled is not None and pooled.low <= mean <= pooled.high
    yield Promise("effects that differ", items, "family-wise error of those without one", Count.of_hits(wrong, studies))
    yield Promise(
        "effects that differ", items, "the mean effect's interval holds its mean", Count.of_hits(held, studies)
    )


def permuted(studies: int, run: Path) -> Iterator[Promise]:
    """Real item rows dealt to the recipes of the planted study's crossed design, whatever their strategy."""
    opened = open_run(run)
    real = Evidence(RunTables(opened.folder, opened.plan), Rules(seed=1, resamples=50, swaps=99))
    panel = opened.study.panel("main")
    rows = [(scores, real.name_of(ZERO_SHOT, task)) for task, shape in panel.items()
            if (scores := real._load(task, shape.headline)) is not None and scores.form.sign > 0]  # fmt: skip
    places = dict(zip(CROSSED + OTHERS, np.resize(np.arange(len(rows)), len(CROSSED + OTHERS)), strict=True))
    tables = MadeTables(plan_of(planted_study(1)), 64)
    trained = [name for name in real.trained if all(name in scores.names for scores, _ in rows)]
    ahead = yes = 0
    for seed in range(studies):
        random = np.random.default_rng(seed)
        dealt: dict[str, str] = {}

        def made(task: str, ends: Mapping[str, str], dealt=dealt, random=random) -> TaskScores:
            scores, zero = rows[places[task]]
            for called in ends.values():
                dealt.setdefault(called, zero if called == ZERO_SHOT else str(random.choice(trained)))
            names = [zero if called == ZERO_SHOT else dealt[called] for called in ends.values()]
            drawn = random.integers(0, scores.clusters, scores.clusters)
            sums = scores.sums[drawn][:, [scores.names.index(name) for name in names]]
            return TaskScores(task, scores.metric, tuple(ends), sums, scores.items)

        found = crossed(MadeEvidence(tables, Rules(seed=seed, resamples=300, swaps=99), made))
        result = found.result if found else None
        assert result is not None
        ahead += result.is_clear
        yes += result.verdict(RankRule(kind="rank")) == "yes"
    clusters = max(scores.clusters for scores, _ in rows)
    name = "strategies permuted, real rows"
    yield Promise(name, clusters, "a strategy called clearly ahead", Count.of_hits(ahead, studies))
    yield Promise(name, clusters, "universal recipe: yes", Count.of_hits(yes, studies))


def promises(given: argparse.Namespace) -> Iterator[Promise]:
    alike, unlike = (SEED,), (5 * SEED / 3, *[SEED / 3] * (RECIPES - 1))
    scenarios: list[Callable[[], Iterator[Promise]]] = []
    for items in given.items:
        scenarios += [
            lambda items=items: seeds_vary(given.studies, items, alike, "seeds"),
            lambda items=items: seeds_vary(given.studies, items, unlike, "seeds, unlike"),
            lambda items=items: effects_differ(given.studies, items),
        ]
    if given.rows:
        scenarios.append(lambda: permuted(given.studies, given.rows))
    for scenario in scenarios:
        yield from scenario()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=400)
    parser.add_argument("--items", type=int, nargs="*", default=[44, 164])
    parser.add_argument("--rows", type=Path, help="a whole run folder, for strategies permuted over real rows")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    found: list[Promise] = []
    for one in promises(given):
        found.append(one)
        print(json.dumps(one.record()), flush=True)
        document = {"limit": LIMIT, "least": LEAST, "studies": given.studies, "rows": [p.record() for p in found]}
        given.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0 if all(one.is_kept for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
