"""From a study's name or file to a `Study`: reads, unfolds, puts a profile in, reports every fault with its place.

Owns reading packaged and user files and the order of checks. Does not know plans or rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from regimen.errors import StudyError, UsageError
from regimen.study.axes import AxisFault, Parts
from regimen.study.chat_files import put_in_chat_templates
from regimen.study.consistency import faults_of
from regimen.study.contrasts import check_rankings, unfold_contrasts
from regimen.study.file import (
    GROUP_TAGS,
    ProfileFile,
    StudyFile,
)
from regimen.study.given_adapters import put_in_given_adapters
from regimen.study.groups import Groups
from regimen.study.own_metrics import put_in_code
from regimen.study.positions import Document, Position, read_document
from regimen.study.precision import settled
from regimen.study.questions import Contrast, Question
from regimen.study.schema import Experiment, Phase
from regimen.study.study import FULL, Study, unknown_name
from regimen.study.tuning import TuneFault
from regimen.study.values import SEEDS, SEEDS_TAGS, Frozen, Seeds, check_seeds, check_whole
from regimen.study.verdict_files import put_in_verdicts

_PARTS = ("base", "adapter", "batch", "schedule", "evaluation", "cost")


def packaged_studies() -> dict[str, Path]:
    """The studies that come with regimen, by name."""
    folder = Path(str(resources.files("regimen") / "studies"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load_study(
    study: str | Path | Mapping[str, object],
    profile: str | None = None,
    *,
    seed: int | None = None,
    seeds: Seeds | None = None,
    item_seed: int | None = None,
    trust_code: bool = False,
) -> Study:
    """Loads a packaged study by name, any study file by path, or a study built in Python from the keys of a file.

    `profile` chooses one of the file's profiles (default: "full", or the file's own values where it has none).
    `seed`, `seeds` and `item_seed` take the place of the study's: the training seed (which leaves the test items as
    they are), the seeds of recipes whose phase and group have none of their own, the seed by which items are drawn.
    `trust_code` accepts a study whose metrics are functions in Python files
    beside it; loading runs none of them. Raises StudyError with every fault of the file, UsageError for an unknown name
    or profile, for seeds that no file could have, or for code that is not trusted.
    """
    change = _SeedChange(seed, seeds, item_seed)
    if isinstance(study, Mapping):
        path = Path("study")  # files that it names lie beside the working folder
        document = Document(_plain(study), {})
    else:
        path = _path_of(study)
        document = read_document(path.read_bytes(), path.name)
    put_in_chat_templates(document, path)
    put_in_verdicts(document, path)
    put_in_given_adapters(document, path)
    put_in_code(document, path, trusted=trust_code, packaged=path in packaged_studies().values())
    return _resolve(document, path.name, profile, change)


def profile_names(study: str | Path) -> list[str]:
    """The profiles of a study that `load_study` reads; none where the file holds only its own values."""
    path = _path_of(study)
    value = read_document(path.read_bytes(), path.name).value
    profiles = value.get("profiles") if isinstance(value, dict) else None
    return [str(name) for name in profiles] if isinstance(profiles, dict) else []


def _plain(value: object) -> Any:
    """Mappings, lists and texts as YAML has them; raises StudyError for what a file could not hold."""
    if isinstance(value, Mapping):
        return {_plain(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Path):
        return str(value)
    kind = type(value).__name__
    raise StudyError("study", [f"{value!r} is a {kind}; give mappings, lists, texts and numbers, as YAML has them"])


def _path_of(study: str | Path) -> Path:
    """The study's file; raises UsageError where there is none."""
    path = packaged_studies().get(str(study)) or Path(study)
    if not path.is_file():
        if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
            raise UsageError(f"no study file {str(path)!r}")
        raise unknown_name("packaged study", str(study), packaged_studies())
    return path


def dump_study(study: Study) -> str:
    """The study as YAML that `load_study` reads back to an equal study."""
    plain = study.model_dump(mode="json", exclude_defaults=True)
    for written, experiment in zip(plain["experiments"], study.experiments, strict=True):
        for part in ("batch", "schedule"):  # whole, for a group changes single values of the study's
            if (own := getattr(experiment, part)) is not None:
                written[part] = own.model_dump(mode="json")
    plain["profile"] = study.profile
    plain.setdefault("phases", {})
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=110)


@dataclass(frozen=True)
class _SeedChange:
    """What a caller puts in the place of a study's seeds; None leaves the study's."""

    seed: int | None
    seeds: Seeds | None
    item_seed: int | None

    def __post_init__(self) -> None:
        for name in ("seed", "item_seed"):
            if (value := getattr(self, name)) is not None:
                check_whole(name, value, *SEEDS)
        check_seeds(self.seeds)

    def put_in(self, file: StudyFile) -> StudyFile:
        """The file with these seeds; with another training seed it keeps its test items."""
        if self.seed is None and self.item_seed is None and self.seeds is None:
            return file
        seed = file.seed if self.seed is None else self.seed
        items = self.item_seed if self.item_seed is not None else file.item_seed
        kept = items if items is not None or seed == file.seed else file.seed
        changed = {"seed": seed, "item_seed": kept, "seeds": file.seeds if self.seeds is None else self.seeds}
        return file.model_copy(update=changed)


def _resolve(document: Document, origin: str, profile: str | None, seeds: _SeedChange) -> Study:
    file = _validated(StudyFile, document.value, document, origin)
    assert isinstance(file, StudyFile)
    file = seeds.put_in(file)
    if profile is not None and profile not in file.profiles and profile != file.profile:
        raise unknown_name("profile", profile, [*file.profiles, *([] if file.profiles else [file.profile])])
    studies: dict[str, Study] = {}
    for name in file.profiles or (file.profile,):
        chosen = file.profiles.get(name, ProfileFile())
        studies[name] = _with_profile(file, document, origin, name, chosen)
    wanted = profile or (FULL if FULL in studies else next(iter(studies)))
    return studies[wanted]


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
        part in GROUP_TAGS | SEEDS_TAGS
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
    parts["base"] = settled(parts["base"])
    faults: list[str] = []
    own = Parts(parts["base"], parts["adapter"], parts["batch"], parts["schedule"])
    experiments = _unfolded(file, profile, own, document, faults)
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
            check_rankings(asked, experiments, file.tasks)
        except ValueError as fault:
            faults.append(f"{document.position(('questions', key, 'rule'))}: {fault}")
        questions[key] = asked
    study = Study(
        study=file.study,
        title=file.title,
        profile=name,
        seed=file.seed,
        item_seed=None if file.item_seed == file.seed else file.item_seed,
        data=profile.data or file.data,
        phases=_phases(file, experiments),
        sources=file.sources,
        tasks=file.tasks,
        experiments=tuple(experiments),
        tracks=file.tracks or {FULL: ("*",)},
        questions=questions,
        gate=file.gate,
        margin=file.margin,
        test_rows=file.test_rows,
        validation=file.validation,
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


def _phases(file: StudyFile, experiments: Sequence[Experiment]) -> dict[str, Phase]:
    """The phases without the seeds, which have been unfolded."""
    written = {name: phase.model_copy(update={"seeds": None}) for name, phase in file.phases.items()}
    return written or {e.phase: Phase(title=e.phase) for e in experiments}


def _unfolded(
    file: StudyFile, profile: ProfileFile, parts: Parts, document: Document, faults: list[str]
) -> list[Experiment]:
    """The file's experiments; what is wrong with a group goes into `faults` with its line."""
    groups = Groups(file, profile.steps, profile.rows, parts)
    for index, group in enumerate(file.experiments):
        place: Position = ("experiments", index)
        try:
            groups.add(group)
        except AxisFault as fault:
            faults.append(f"{document.position((*place, 'vary', fault.axis))}: {fault}")
        except TuneFault as fault:
            faults.append(f"{document.position((*place, 'tune'))}: {fault}")
        except (ValidationError, ValueError) as fault:
            message = fault.errors()[0]["msg"] if isinstance(fault, ValidationError) else str(fault)
            faults.append(f"{document.position(place)}: {message}")
    return groups.experiments


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
        if isinstance(value, str) and (name == value or name.startswith((f"{value}-", f"{value}~"))):
            best = max(best or (0, ()), (len(value), path), key=lambda match: match[0])
    where = f"line {document.lines[best[1]]}" if best else "experiments"
    return f"{where}, experiment {name}"
