"""The pages: the site builds without a warning or a network, and what pages tell people to type works."""

from __future__ import annotations

import ast
import html
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from scripts.error_messages import messages

import regimen
from regimen.cli.app import app
from tests.support.browser_pages import chromium, grave
from tests.support.checkout import ROOT
from tests.support.pages import PAGES, blocks, commands, followed
from tests.support.patience import patient

NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
TYPED = [(name, words) for name, page in zip(NAMES, PAGES, strict=True) for words in commands(page)]
HOW_TOS = [page for page in sorted((ROOT / "docs/how-to").glob("*.md")) if followed(page)]
LOADED = re.compile(r'<(?:script|img|iframe)[^>]* src="https?:[^"]+|<link[^>]* href="https?:[^"]+[.]css')
PARSERS = vars(typer.main.get_command(app))["commands"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    nowhere = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9", "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | nowhere, capture_output=True, text=True, timeout=patient(200), check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        loaded = LOADED.findall(page.read_text(encoding="utf-8"))
        assert not loaded, (page.name, loaded)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_telephone_and_have_no_barriers(site: Path, scheme: str) -> None:
    found = {}
    with chromium() as browser:
        context = browser.new_context(
            viewport={"width": 390, "height": 800}, color_scheme=scheme, bypass_csp=True, offline=True
        )
        tab = context.new_page()
        for page in sorted(site.rglob("*.html")):
            if page.name == "404.html" or page.parent.name == "example-report":  # the report has tests of its own
                continue
            tab.goto(page.as_uri())
            wide = ["wider than 390"] if tab.evaluate("document.documentElement.scrollWidth") > 390 else []
            if faults := [*wide, *grave(tab)]:
                found[page.name] = faults
        context.close()
    assert found == {}


@pytest.mark.parametrize("page", [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "benchmarks").rglob("*.md"))], ids=str)
def test_links_of_pages_outside_the_site_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|mailto:)([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def fault_of(words: list[str]) -> str | None:
    """What is wrong with a command as it is typed."""
    if words[0] not in PARSERS:
        return f"no command {words[0]!r}"
    parameters = PARSERS[words[0]].params
    options = {flag: one for one in parameters for flag in (*one.opts, *one.secondary_opts)}
    given, free = iter(words[1:]), 0
    for word in given:
        name, equals, _ = word.partition("=")
        if not word.startswith("--"):
            free += 1
        elif name not in options and name != "--help":
            return f"{words[0]} has no option {name}"
        elif name != "--help" and not options[name].is_flag and not equals and next(given, None) is None:
            return f"{name} needs a value"
    arguments = [one for one in parameters if one.param_type_name == "argument"]
    if free > len(arguments) and not any(one.nargs == -1 for one in arguments):
        return f"{words[0]} takes {len(arguments)} arguments"
    return None


@pytest.mark.parametrize(("page", "words"), TYPED, ids=[f"{page}: {' '.join(words[:4])}" for page, words in TYPED])
def test_commands_on_pages_are_commands(page: str, words: list[str]) -> None:
    assert fault_of(words) is None


def test_a_wrong_command_is_noticed() -> None:
    assert len(TYPED) > 50
    assert fault_of(["trian", "x"])
    assert fault_of(["run", "study.yaml", "--outt", "x"])
    assert fault_of(["run", "study.yaml", "--out"])
    assert fault_of(["gate", "a", "b"])


def change(path: Path, diff: str) -> None:
    """Puts the lines with + in the place of those with -, as a reader does by hand."""
    old, new = ("".join(re.findall(rf"^\{sign}(.*\n)", diff, re.M)) for sign in "-+")
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new), encoding="utf-8")


def follow(page: Path, folder: Path) -> str:
    """Does in the folder what a page's blocks with a title, `sh` and `python` blocks say, in order; what was printed.

    Blocks of other languages (`console`, `text`, `yaml`) are shown and not followed.
    """
    printed = []
    for language, title, text in blocks(page):
        if language == "diff":
            change(folder / title, text)
        elif title.endswith("appended"):
            with (folder / title.partition(",")[0]).open("a", encoding="utf-8") as file:
                file.write(text)
        elif title:
            (folder / title).write_text(text, encoding="utf-8")
        elif language == "python":
            printed.append(typed([sys.executable, "-c", text], folder))
        elif language == "sh":
            for line in text.splitlines():
                program, *words = shlex.split(line, comments=True)
                starts = [sys.executable, *(["-m", "regimen"] if program == "regimen" else [])]
                printed.append(typed([*starts, *words], folder))
    return "".join(printed)


def typed(command: list[str], folder: Path) -> str:
    environment = os.environ | {"COLUMNS": "110", "PYTHONPATH": str(ROOT / "src"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=patient(400), check=False
    )
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder after the tutorial, by its text alone."""
    folder = tmp_path_factory.mktemp("tutorial")
    follow(ROOT / "docs" / "tutorial.md", folder)
    return folder


@pytest.mark.slow
def test_the_tutorial_works_as_it_is_written(tried: Path) -> None:
    report = (tried / "runs/first/report/report.md").read_text()
    assert re.search(r"\| Q1[^|]*\| \*\*yes\*\* \|", report), report[:1500]
    assert re.search(r"\| Q2[^|]*\| \*\*(yes|no|undecided)\*\* \|", report), report[:1500]
    assert (tried / "adapter/adapter_config.json").is_file()


@pytest.mark.soak
@pytest.mark.parametrize("page", HOW_TOS, ids=lambda page: page.stem)
def test_how_tos_work_after_the_tutorial(page: Path, tried: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tried"
    shutil.copytree(tried, folder)
    assert follow(page, folder)


def texts_of_the_source() -> Iterator[str]:
    """Every text of the package, with "…" where a value is put in, and texts that follow each other joined."""
    for path in (ROOT / "src" / "regimen").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_the_reference_has_every_public_name_and_the_messages_of_errors(site: Path) -> None:
    named = re.findall(r"^::: regimen[.](\w+)$", (ROOT / "docs/reference/python.md").read_text(encoding="utf-8"), re.M)
    assert sorted(named) == sorted(regimen.__all__)
    assert sum(map(len, messages().values())) > 250
    page = (site / "reference/errors.html").read_text(encoding="utf-8")
    for raised, text in messages()["cli"]:
        assert f"<code>{raised}</code>" in page
        assert html.escape(text.split("…")[-1], quote=False).replace("`", "'") in page


def test_messages_of_troubleshooting_are_real() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    messages = re.findall(r"^### `(.+)`$", page, re.M)
    assert len(messages) > 15
    texts = [re.sub(r"…+", "…", text) for text in texts_of_the_source()]
    for message in messages:
        parts = [re.escape(part.strip()) for part in message.split("…") if part.strip()]
        assert any(re.search(".*".join(parts), text, re.S) for text in texts), message
