"""One HTML file that needs nothing else: style, script and plotly inside, figures drawn when they come into view.

Owns the putting together and the file's security policy: no network, no script but these. Plotly lies in it packed
and is unpacked by the browser when the first figure is seen, so that the answers are on the screen before.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from functools import lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from regimen.report import words
from regimen.report.charts import Chart, plotly_of, svg_of

TEMPLATES = "templates"
Context = dict[str, Any]  # the names that a template sees


def render_page(context: Context, version: str = "") -> str:
    """The whole document; with a `version` it asks the local server whether there is a newer one."""
    script = asset("page.js")
    plotly = _plotly()
    asked = "'self'" if version else "'none'"
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}' '{plotly['digest']}'; style-src 'unsafe-inline'; "
        f"img-src data: blob:; connect-src {asked}; "
        "base-uri 'none'; form-action 'none'"
    )
    return render(
        "report.html.jinja",
        context
        | {"script": Markup(script), "style": Markup(asset("page.css")), "policy": policy, "version": version}
        | {"plotly": Markup(plotly["packed"]), "content": Markup(render_content(context))},
    )


def render_content(context: Context) -> str:
    """What the page shows: the part that a live page exchanges."""
    return render("content.html.jinja", context)


def render(template: str, context: Context) -> str:
    """A template with the report's filters; HTML is escaped, Markdown and LaTeX have filters of their own."""
    return environment(template.endswith(".html.jinja")).get_template(template).render(context)


@lru_cache(maxsize=2)
def environment(escaping: bool) -> Environment:
    """The templates' environment."""
    made = Environment(
        loader=PackageLoader("regimen.report", TEMPLATES),
        autoescape=escaping,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for name in ("number", "signed", "points", "interval", "span", "probability", "count", "hours", "share", "anchor"):
        made.filters[name] = getattr(words, name)
    made.filters["stem"] = words.stem
    made.filters["percent"] = words.percent
    made.filters["figure"] = figure
    made.filters["md"] = words.markdown
    made.globals["NOT_YET"] = words.NOT_YET
    return made


def figure(chart: Chart) -> Markup:
    """A figure: SVG for print and until it is drawn live, and the data that it is drawn from."""
    drawn = plotly_of(chart)
    data = json.dumps(drawn, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c") if drawn else ""
    return Markup(
        '<figure class="chart" id="fig-{name}"><div class="still wide">{still}</div><div class="live" hidden></div>'
        '<script type="application/json">{data}</script></figure>'
    ).format(name=chart.name, still=Markup(svg_of(chart)), data=Markup(data))


def asset(name: str) -> str:
    """A file beside the templates."""
    return (files("regimen.report") / TEMPLATES / name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@lru_cache(maxsize=1)
def _plotly() -> dict[str, str]:
    from plotly.offline import get_plotlyjs

    source = get_plotlyjs()
    packed = base64.b64encode(gzip.compress(source.encode(), 9, mtime=0)).decode()
    return {"packed": packed, "digest": _digest(source)}
