"""Data inside the page: JSON with sorted keys, packed by gzip, in base64; the same values give the same bytes.

Owns the packing. The browser unpacks a block when a section asks for it. Does not know what the data are.
"""

from __future__ import annotations

import base64
import gzip
import json

from regimen.analysis.records import to_json


def packed(value: object) -> str:
    """A value as a block of the page; what is not finite is null. Raises TypeError for what JSON cannot hold."""
    text = json.dumps(to_json(value), sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return packed_text(text)


def packed_text(text: str) -> str:
    """A text as a block of the page."""
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()
