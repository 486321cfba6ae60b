"""Checks that PEFT computes with an adapter's files what this engine computes with the adapter.

Owns the loading of an adapter folder through PEFT onto a plain model. Does not know where adapters come from.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

LOST = re.compile(r"missing adapter keys|unexpected keys|did not match any targeted module", re.IGNORECASE)


def load_by_peft(plain: Any, folder: Path) -> tuple[Any, str | None]:
    """The model with the adapter of a folder on it, and what PEFT says that it left out, if anything.

    PEFT only warns of an adapter that it loads in part. Raises what PEFT raises.
    """
    from peft import PeftModel

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        model = PeftModel.from_pretrained(plain, str(folder))
    lost = [str(one.message).splitlines()[0] for one in heard if LOST.search(str(one.message))]
    return model.eval(), lost[0][:160] if lost else None
