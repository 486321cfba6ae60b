"""Numbers and names as a reader sees them; a missing number reads "not yet".

Owns formats and addresses within the page. Does not know pages.
"""

from __future__ import annotations

import math
import re
from typing import Any
from urllib.parse import quote

from regimen.digests import digest_of
from regimen.study import EndPoint
from regimen.study.schema import Adapter, Schedule

NOT_YET = "not yet"


def known(value: Any) -> bool:
    """Whether there is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def number(value: Any, digits: int = 3) -> str:
    """0.812"""
    return f"{value:.{digits}f}" if known(value) else NOT_YET


def signed(value: Any, digits: int = 3) -> str:
    """+0.042"""
    return f"{value:+.{digits}f}" if known(value) else NOT_YET


def points(value: Any) -> str:
    """A change of a share, in hundredths: +4.2"""
    return f"{100 * value:+.1f}" if known(value) else NOT_YET


def interval(low: Any, high: Any, digits: int = 3) -> str:
    """+0.010 to +0.070, or nothing where an end is missing."""
    return f"{signed(low, digits)} to {signed(high, digits)}" if known(low) and known(high) else ""


def span(low: Any, high: Any, digits: int = 3) -> str:
    """0.710 to 0.830, or nothing where an end is missing."""
    return f"{number(low, digits)} to {number(high, digits)}" if known(low) and known(high) else ""


def probability(value: Any) -> str:
    """A p-value in few digits."""
    if not known(value):
        return NOT_YET
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def count(value: Any) -> str:
    """12,345"""
    return f"{round(value):,}" if known(value) else NOT_YET


def hours(value: Any) -> str:
    """Hours with the digits that small and large ones need."""
    if not known(value):
        return NOT_YET
    return f"{value:.3f}" if 0 < abs(value) < 0.1 else f"{value:.2f}" if abs(value) < 10 else f"{value:,.1f}"


def share(value: Any) -> str:
    """40%"""
    return f"{100 * value:.3g}%" if known(value) else NOT_YET


def percent(value: float) -> str:
    """5"""
    return f"{100 * value:g}"


def stem(end: EndPoint | str) -> str:
    """The experiment of an end point; a name as it is."""
    return end.experiment if isinstance(end, EndPoint) else end


def file_stem(name: str) -> str:
    """A name as part of a file's name and of an anchor: as it is where it can be one, else with a few hex digits."""
    plain = re.sub(r"[^A-Za-z0-9.-]", "_", name)[:60]
    return plain if plain == name else f"{plain}-{digest_of(name)[:6]}"


def result_link(end: EndPoint | str) -> str:
    """The address in the page of an experiment's recipe and scores, without its #."""
    return f"results?experiment={quote(stem(end), safe='')}"


def markdown(value: Any) -> str:
    """Text that is safe in a Markdown table: one line, nothing that is markup."""
    text = " ".join(str(value).split())
    for letter in "\\`*_{}[]<>|#":
        text = text.replace(letter, "\\" + letter)
    return text


def adapter_words(adapter: Adapter) -> str:
    """LoRA rank 4, alpha 8"""
    if adapter.method == "full":
        return "all weights"
    scaled = ", scaled by the root of the rank" if adapter.rslora else ""
    return f"LoRA rank {adapter.rank}, alpha {adapter.alpha:g}{scaled}" + (
        f", dropout {adapter.dropout:g}" if adapter.dropout else ""
    )


def schedule_words(schedule: Schedule) -> str:
    """100 warm-up steps, cooldown over 10%"""
    falls = f"cooldown over {100 * schedule.cooldown:g}%" if schedule.has_trunk else f"then {schedule.type} to 0"
    return f"{schedule.warmup_steps} warm-up steps, {falls}"
