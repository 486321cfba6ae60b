"""The command `regimen`: one file a subcommand, each thin.

Owns the table of commands and the turning of errors into messages and exit codes. Imports nothing heavy.
"""

from __future__ import annotations

import os
import sys

import typer

from regimen import __version__
from regimen.cli import commands
from regimen.errors import RegimenError
from regimen.files import why_unwritable

app = typer.Typer(
    name="regimen",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Finds out, for a small language model and a domain, which way of training it works best.",
)


def _version(show: bool) -> None:
    if show:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    """Finds out, for a small language model and a domain, which way of training it works best."""


for _command in commands():
    app.command(name=_command.name, rich_help_panel=_command.group, epilog=f"Example: {_command.example}")(
        _command.function
    )


def _complain(sentence: str) -> None:
    from regimen.cli.terminal import say

    say(f"regimen: {sentence}", to_stderr=True)


def _unusable(fault: OSError) -> str | None:
    """One sentence about a path that cannot be used (too long, a folder instead of a file); None for other faults."""
    if fault.filename is None or fault.strerror is None:
        return None
    path = os.fsdecode(fault.filename) if isinstance(fault.filename, bytes) else str(fault.filename)
    shown = path if len(path) <= 200 else f"{path[:100]}... ({len(path):,} characters)"
    return f"{shown!r} cannot be used: {fault.strerror.lower()}"


def main() -> None:
    """The entry point: deliberate errors become one message on stderr and their exit code."""
    try:
        app(standalone_mode=True)
    except RegimenError as fault:
        _complain(str(fault))
        sys.exit(fault.exit_code)
    except BrokenPipeError:  # the reader of our output went away
        sys.stderr.close()
        sys.exit(1)
    except OSError as fault:
        sentence = why_unwritable(fault) or _unusable(fault)
        if sentence is None:
            raise
        _complain(sentence)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("regimen: stopped at once; the state on disk is safe, and the same command resumes\n")
        sys.exit(130)
