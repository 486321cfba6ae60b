"""Whether the Hub has a study's sources and base, and lets this machine read them.

Owns the questions to the Hub; fetches nothing. Does not know what lies on this machine.
"""

from __future__ import annotations

from collections.abc import Iterator

from regimen.data.sources import Where, parts_of
from regimen.errors import SourceMissing
from regimen.study import Study

SECONDS = 10.0  # of waiting for one answer


def hub_faults(study: Study, where: Where) -> list[str]:
    """A sentence for each data set or base of the Hub that cannot be read from here; one where the Hub is not reached.

    Takes about half a second for each.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError

    api = HfApi()
    faults = []
    asked = {wanted[1:]: wanted[0] for wanted in reversed(list(_wanted(study, where)))}
    for (repository, revision, kind), what in reversed(asked.items()):
        try:
            found = api.repo_info(repository, revision=revision, repo_type=kind, timeout=SECONDS)
            if found.gated:
                api.auth_check(repository, repo_type=kind)
        except GatedRepoError:
            faults.append(f"{what}: {repository} asks for its conditions to be accepted on its page; then log in")
        except HfHubHTTPError as fault:
            faults.append(f"{what}: the Hub has no {kind} {repository} at {revision} for you ({_first(fault)})")
        except Exception as fault:  # the client raises many types where there is no network
            remedy = "fetch them with `regimen mirror` where there is a network, then use --data"
            return [f"the Hub cannot be reached ({_first(fault)}); {remedy}"]
    return faults


def _wanted(study: Study, where: Where) -> Iterator[tuple[str, str, str, str]]:
    """What it is, repository, revision and type of all that a run would read from the Hub."""
    for base in study.bases:
        if base.origin == "hub":
            yield f"base {base.id!r}", base.id, base.revision, "model"
    for name, source in study.sources.items():
        for split in filter(None, (source.split, source.test_split)):
            try:
                parts = parts_of(name, source, split, where)
            except SourceMissing:
                continue
            for part in parts:
                if part.hub is not None:
                    repository, _, _, revision, converted = part.hub
                    branch = "refs/convert/parquet" if converted else revision
                    yield f"source {name!r}", repository, branch, "dataset"


def _first(fault: Exception) -> str:
    return (str(fault).strip() or type(fault).__name__).splitlines()[0][:160]
