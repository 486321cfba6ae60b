"""From a study's name or file to a `Study`: reads, unfolds, puts a profile in, reports every fault with its place.

Owns reading packaged and user files and the order of checks. Does not know plans or rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from regimen.errors import StudyError, UsageError
from regimen.study.chat_files import put_in_chat_templates
from regimen.study.contrasts import check_rankings, unfold_contrasts
from regimen.study.file import GROUP_TAGS, ProfileFile, StepsRule, StudyFile
from regimen.study.own_metrics import put_in_code
from regimen.study.positions import Document, Position, read_document
from regimen.study.questions import Contrast, Question
from regimen.study.schema import Experiment, Phase
from regimen.study.study import FULL, Study, faults_of, unknown_name
from regimen.study.unfolding import unfold
from regimen.study.values import SEEDS, Frozen, check_whole

_PARTS = ("base", "adapter", "batch", "schedule", "evaluation", "cost")


def packaged_studies() -> dict[str, Path]:
    """The studies that come with regimen, by name."""
    folder = Path(str(resources.files("regimen") / "studies"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load_study(
    study: str | Path, profile: str | None = None, *, seed: int | None = None, trust_code: bool = False
) -> Study:
    """Loads a packaged study by name, or any study file by path.

    `profile` chooses one of the file's profiles (default: "full", or the file's own values where it has none).
    `seed` takes the place of the study's. `trust_code` accepts a study whose metrics are functions in Python files
    beside it; loading runs none of them. Raises StudyError with every fault of the file, UsageError for an unknown name
    or profile, for a seed that no file could have, or for code that is not trusted.
    """
    if seed is not None:
        check_whole("seed", seed, *SEEDS)
    packaged = packaged_studies().get(str(study))
    path = packaged or Path(study)
    if not path.is_file():
        if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
            raise UsageError(f"no study file {str(path)!r}")
        raise unknown_name("packaged study", str(study), packaged_studies())
    document = read_document(path.read_bytes(), path.name)
    put_in_chat_templates(document, path)
    put_in_code(document, path, trusted=trust_code, packaged=packaged is not None)
    return _resolve(document, path.name, profile, seed)


def dump_study(study: Study) -> str:
    """The study as YAML that `load_study` reads back to an equal study."""
    plain = study.model_dump(mode="json", exclude_defaults=True)
    plain["profile"] = study.profile
    plain.setdefault("phases", {})
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=110)


@cache
def cpu_has_bf16() -> bool:
    """True if this processor multiplies bfloat16 natively (AVX512-BF16, AMX, or Arm BF16)."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags)


def _resolve(document: Document, origin: str, profile: str | None, seed: int | None) -> Study:
    file = _validated(StudyFile, document.value, document, origin)
    assert isinstance(file, StudyFile)
    if profile is not None and profile not in file.profiles and profile != file.profile:
        raise unknown_name("profile", profile, [*file.profiles, *([] if file.profiles else [file.profile])])
    studies: dict[str, Study] = {}
    for name in file.profiles or (file.profile,):
        chosen = file.profiles.get(name, ProfileFile())
        studies[name] = _with_profile(file, document, origin, name, chosen)
    wanted = profile or (FULL if FULL in studies else next(iter(studies)))
    study = studies[wanted]
    return study if seed is None else study.model_copy(update={"seed": seed})


def _validated(model: type[Frozen], value: Any, document: Document, origin: str, under: Position = ()) -> Frozen:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = []
        for item in error.errors():
            place = under + tuple(part for part in item["loc"] if not _is_tag(part))
            faults.append(f"{document.position(place)}: {_worded(item)}")
        raise StudyError(origin, list(dict.fromkeys(faults))) from None


def _is_tag(part: str | int) -> bool:
    return (
        part in GROUP_TAGS
        or part in ("contrasts[0]", "[key]")
        or (isinstance(part, str) and part.startswith(("function-", "tuple[", "dict[", "constrained-", "literal[")))
    )


def _worded(item: Mapping[str, Any]) -> str:
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        return "this key is not known here"
    if item["type"] == "missing":
        return "this key is missing"
    value = item.get("input")
    shown = repr(value) if isinstance(value, str | int | float | bool) else ""
    return f"{message[0].lower()}{message[1:]}" + (f" (not {shown[:80]})" if shown and shown not in message else "")


def _with_profile(file: StudyFile, document: Document, origin: str, name: str, profile: ProfileFile) -> Study:
    parts: dict[str, Any] = {}
    for part in _PARTS:
        change = getattr(profile, part)
        written = getattr(file, part)
        merged = _merge(written.model_dump(), change or {}, whole=part == "base")
        model = type(written)
        parts[part] = _validated(model, merged, document, origin, ("profiles", name, part))
    if parts["base"].precision == "auto":
        parts["base"] = parts["base"].model_copy(update={"precision": "bf16" if cpu_has_bf16() else "fp32"})
    faults: list[str] = []
    experiments = _unfold_experiments(file, profile.steps, document, faults)
    by_id = {experiment.id: experiment for experiment in experiments}
    questions: dict[str, Question[Contrast]] = {}
    for key, question in file.questions.items():
        contrasts: list[Contrast] = []
        for index, group in enumerate(question.contrasts):
            try:
                contrasts += unfold_contrasts(group, by_id, file.tasks)
            except ValueError as fault:
                faults.append(f"{document.position(('questions', key, 'contrasts', index))}: {fault}")
        asked = Question[Contrast](question=question.question, rule=question.rule, contrasts=tuple(contrasts))
        try:
            check_rankings(asked, list(by_id), file.tasks)
        except ValueError as fault:
            faults.append(f"{document.position(('questions', key, 'rule'))}: {fault}")
        questions[key] = asked
    study = Study(
        study=file.study,
        title=file.title,
        profile=name,
        seed=file.seed,
        data=profile.data or file.data,
        phases=file.phases or {e.phase: Phase(title=e.phase) for e in experiments},
        sources=file.sources,
        tasks=file.tasks,
        experiments=tuple(experiments),
        tracks=file.tracks or {FULL: ("*",)},
        questions=questions,
        gate=file.gate,
        margin=file.margin,
        **parts,
    )
    faults += [f"{_place_of(document, place)}: {fault}" for place, fault in faults_of(study)]
    if faults:
        raise StudyError(origin, list(dict.fromkeys(faults)))
    return study


def _merge(old: Any, change: Any, *, whole: bool = False) -> Any:
    if whole and change:
        return change
    if isinstance(old, dict) and isinstance(change, dict):
        return {**old, **{key: _merge(old.get(key), value) for key, value in change.items()}}
    return change


def _unfold_experiments(file: StudyFile, rule: StepsRule, document: Document, faults: list[str]) -> list[Experiment]:
    experiments: list[Experiment] = []
    for index, group in enumerate(file.experiments):
        try:
            experiments += unfold(group, file.tasks, rule)
        except (ValidationError, ValueError) as fault:
            message = fault.errors()[0]["msg"] if isinstance(fault, ValidationError) else str(fault)
            faults.append(f"{document.position(('experiments', index))}: {message}")
    return experiments


def _place_of(document: Document, place: tuple[str, ...]) -> str:
    """The place of a part; an experiment is looked for by its id, or the longest stem of it that is written."""
    if place[0] != "experiments":
        return document.position(place)
    name = place[1]
    best: tuple[int, Position] | None = None
    for path in document.lines:
        if not path or path[0] != "experiments":
            continue
        value: Any = path[-1]
        if len(path) == 3 and path[-1] in ("id", "chain"):
            value = document.value["experiments"][path[1]][path[-1]]
        if isinstance(value, str) and (name == value or name.startswith(f"{value}-")):
            best = max(best or (0, ()), (len(value), path), key=lambda match: match[0])
    where = f"line {document.lines[best[1]]}" if best else "experiments"
    return f"{where}, experiment {name}"
