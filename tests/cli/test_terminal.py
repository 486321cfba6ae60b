"""Text of a study or a row is shown as it is: no markup is obeyed, no escape sequence reaches the terminal."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from regimen.cli.app import main
from regimen.cli.terminal import console, harmless, say
from tests.support.studies import MINIMAL


@given(st.text())
def test_nothing_but_line_ends_and_tabs_controls_the_terminal(text: str) -> None:
    assert not any((ord(mark) < 32 and mark not in "\n\t") or 127 <= ord(mark) < 160 for mark in harmless(text))
    assert len(harmless(text)) == len(text)


def test_tables_show_brackets_and_no_escape_sequences() -> None:
    screen = console()
    screen.file = io.StringIO()
    table = Table("phase")
    table.add_row("[/x] [red]a\x1b[2Jb\x9b31m")
    screen.print(table)
    screen.print("[/bold]\x1b]0;title\x07")
    shown = screen.file.getvalue()
    assert "[/x] [red]a\ufffd[2Jb\ufffd31m" in shown
    assert "[/bold]" in shown
    assert "\x1b" not in shown
    assert "\x07" not in shown


def test_messages_on_stderr_are_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    say("no study \x1b[31m", to_stderr=True)
    assert capsys.readouterr().err == "no study \ufffd[31m\n"


def test_a_phase_that_looks_like_markup_is_planned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(
        MINIMAL.replace("phase: tune, title", 'phase: "[/x]", title').replace(
            "study: small", 'study: small\ntitle: "a\\e[2J"'
        )
    )
    monkeypatch.setattr("sys.argv", ["regimen", "plan", str(study)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert "[/x]" in out
    assert "\x1b" not in out
