"""What an experiment took of its sources: shares of sequences as planned, of tokens and of loss tokens as they were.

Owns the sums. Does not know how rows are cleaned or drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def token_shares(
    mixture: Mapping[str, float], blocks: Mapping[str, Mapping[str, Any] | None]
) -> dict[str, dict[str, float]]:
    """{source: its share of sequences, tokens and loss tokens}: weights times the means of its blocks.

    `blocks` gives {blocks, tokens, loss_tokens} of each source. Shares are of the whole, so there are none ({}) until
    every source of the mixture has been prepared.
    """
    if not all((blocks.get(name) or {}).get("blocks") for name in mixture):
        return {}
    shares: dict[str, dict[str, float]] = {name: {} for name in mixture}
    for what in ("sequences", "tokens", "loss_tokens"):
        amounts: dict[str, float] = {}
        for name, weight in mixture.items():
            facts = blocks[name] or {}
            amounts[name] = weight * (1.0 if what == "sequences" else facts[what] / facts["blocks"])
        total = sum(amounts.values())
        for name, amount in amounts.items():
            shares[name][what] = amount / total if total else 0.0
    return shares
