"""Lowers the resource limits of the process it runs in and empties its environment.

The last step before hostile code; knows nothing of namespaces.
"""

from __future__ import annotations

import os
import resource

# Never wanted: core dumps, message queues, locked memory.
_NOTHING = ("RLIMIT_CORE", "RLIMIT_MSGQUEUE", "RLIMIT_MEMLOCK")


def lower(ceilings: dict[str, int], folder: str) -> None:
    """Sets each named limit of `resource`, soft and hard, and moves to `folder`."""
    for name, value in {**ceilings, **dict.fromkeys(_NOTHING, 0)}.items():
        resource.setrlimit(getattr(resource, name), (value, value))
    os.environ.clear()
    os.chdir(folder)
