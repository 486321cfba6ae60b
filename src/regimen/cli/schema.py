"""`regimen schema`: the JSON schema of a study file."""

from __future__ import annotations

import typer


def schema() -> None:
    """Print the JSON schema of a study, by which editors complete and check its keys.

    Save it as regimen.schema.json beside the study, whose first line is then
    `# yaml-language-server: $schema=regimen.schema.json`; `regimen init` does both.
    """
    from regimen.study.json_schema import schema_text

    typer.echo(schema_text(), nl=False)
