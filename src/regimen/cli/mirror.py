"""`regimen mirror`: a study's data sets and base as files, for machines without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regimen.cli.options import ProfileOption, StudyArgument, TrustOption


def mirror(
    study: StudyArgument,
    to: Annotated[Path, typer.Option("--to", help="The mirror's folder.", file_okay=False)],
    profile: ProfileOption = None,
    trust_code: TrustOption = False,
) -> None:
    """Fetch data sets and base; call it again to resume. `run --data DIR` reads the mirror."""
    from regimen.data.mirror import Kept, copy_file, mirror_base, mirror_source, write_manifest
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
    if loaded.base.origin == "hub":
        kept += mirror_base(loaded.base, to, say)
    elif loaded.base.origin == "wheel":
        from regimen.engine.locate import locate_base

        folder = locate_base(loaded.base)
        for path in sorted(folder.iterdir()):
            target = f"{loaded.base.id}/{path.name}"
            kept.append(copy_file(path, target, to, loaded.base.wheel or "", loaded.base.revision))
    about = {"study": loaded.study, "profile": loaded.profile, "base": loaded.base.id}
    path = write_manifest(to, about, kept)
    size = sum(line.bytes for line in kept)
    typer.echo(f"mirror: {len(kept)} files, {size / 1e6:,.1f} MB, named in {path}")


def _own(name: str, file: str, here: Path) -> Path:
    """The path of a source's own file beside the study; raises SourceMissing."""
    from regimen.errors import SourceMissing

    path = here / file
    if not path.is_file():
        raise SourceMissing(f"source {name!r}: there is no file {file!r} beside the study; put it there")
    return path
