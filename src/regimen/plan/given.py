"""The stage that takes a given adapter into a run, and its identity. Does not know how it is found or read."""

from __future__ import annotations

from typing import Literal

from regimen.plan.identities import adapter_identity, base_identity
from regimen.plan.spec import VERSIONS, Spec
from regimen.study.schema import Adapter, Base, GivenAdapter


class AdapterSpec(Spec):
    """Takes a given adapter in, as a training on this base would have left it; what does not fit is refused.

    Where its files are found (a folder, a repository and revision) is no part of what it is; its digest is.
    """

    kind: Literal["adapter"] = "adapter"
    base: Base
    given: GivenAdapter

    @property
    def identity(self) -> dict[str, object]:
        return {
            "stage": "adapter",
            "version": VERSIONS["adapter"],
            "base": base_identity(self.base),
            "adapter": adapter_identity(self.given.settings),
            "digest": self.given.digest,
        }

    @property
    def adapter(self) -> Adapter:
        """Its settings."""
        return self.given.settings

    @property
    def merged(self) -> tuple[()]:
        """Nothing is merged into the base under it."""
        return ()
