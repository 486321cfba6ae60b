"""One section of the page: a tab, what stands there without a script, the data that its script draws from.

Owns what a section is. Does not know which sections there are, nor how the page is put together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from markupsafe import Markup

from regimen.report.run_reading import Reading


@dataclass(frozen=True)
class Section:
    """A section; `name` is its anchor and its place in the address.

    `html` stands without JavaScript. Its parts of class "still" give way on the screen to what the script draws, and
    come back in print. `blocks` (name -> JSON values or findings) lie packed in the page; the script, a file of
    `browser/`, asks for them by name. `libraries` are those of `assets/` that the script loads. A section that is not
    `printed` is for the screen alone.
    """

    name: str
    title: str
    html: Markup
    blocks: Mapping[str, object] = field(default_factory=dict)
    script: str = ""
    libraries: tuple[str, ...] = ()
    printed: bool = True


Builder = Callable[[Reading], Section | None]  # None: the run has nothing to show there
