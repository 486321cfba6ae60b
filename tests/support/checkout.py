"""Where this checkout lies, and what may lie beside it."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
"""Real rows in the mirror layout (`data`) and small inputs that once failed (`cases`), where somebody has put them."""
