"""An experiment's use of its sources: shares of sequences as planned, of tokens and of loss tokens as they were.

Owns the sums. Does not know how rows are cleaned or drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from regimen.results.facts import PreparedFacts


@dataclass(frozen=True)
class Share:
    """A source's share of a training's sequences, of its tokens and of those that carry loss; each from 0 to 1."""

    sequences: float
    tokens: float
    loss_tokens: float


def token_shares(mixture: Mapping[str, float], prepared: Mapping[str, PreparedFacts]) -> dict[str, Share]:
    """Each source's shares: weights times the means of its blocks.

    Shares are of the whole, so there are none ({}) until every source of the mixture has been prepared.
    """
    if not all(name in prepared and prepared[name].blocks for name in mixture):
        return {}
    tokens = _of_one({name: weight * prepared[name].tokens / prepared[name].blocks for name, weight in mixture.items()})
    loss = _of_one(
        {name: weight * prepared[name].loss_tokens / prepared[name].blocks for name, weight in mixture.items()}
    )
    sequences = _of_one(mixture)
    return {name: Share(sequences[name], tokens[name], loss[name]) for name in mixture}


def _of_one(amounts: Mapping[str, float]) -> dict[str, float]:
    total = sum(amounts.values())
    return {name: amount / total if total else 0.0 for name, amount in amounts.items()}
