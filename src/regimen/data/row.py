"""A row: its columns by name, values as its file has them.

Knows nothing else.
"""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]
