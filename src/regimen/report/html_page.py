"""The templates of the report and the words that they share.

Owns the environment: HTML is escaped, Markdown and LaTeX have filters of their own. Does not know the page.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from regimen.report import words
from regimen.report.charts import Chart, svg_of

TEMPLATES = "templates"
Context = dict[str, Any]  # the names that a template sees
FILTERS = ("number", "signed", "points", "interval", "span", "probability", "count", "hours", "share", "percent")


def render(template: str, context: Context) -> str:
    """A template with the report's filters."""
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
    for name in FILTERS:
        made.filters[name] = getattr(words, name)
    made.filters["figure"] = figure
    made.filters["md"] = words.markdown
    made.globals["NOT_YET"] = words.NOT_YET
    return made


def figure(chart: Chart) -> Markup:
    """A chart where it stands in the page."""
    frame = '<div class="wide" tabindex="0" role="region" aria-label="{title}">{svg}</div>'
    return Markup('<figure class="chart" id="fig-{name}">' + frame + "</figure>").format(
        name=chart.name, title=chart.title, svg=Markup(svg_of(chart))
    )
