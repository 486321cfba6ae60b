"""Writes docs/bases.md: what every family of bases passes, tried now by the checks of tests/engine/test_families.py.

python -m scripts.make_bases_page
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

from tests.support.families import FAMILIES
from tests.support.family_checks import Family
from transformers.utils import logging

from regimen.errors import ModelError

PAGE = Path(__file__).parents[1] / "docs" / "bases.md"
HEAD = """# Bases

Every base is tried when it is first loaded: a small cut of it, with random weights, is computed here and by plain
transformers, and what differs is refused in one sentence. The verdict is remembered, by the configuration of the base
and the versions of the libraries. Beyond that, tiny models of the families below are tested against transformers
(eager attention, each text by itself) and PEFT with torch's AdamW. `python -m scripts.make_bases_page` makes this table
from these tests.

- **train**: losses of five steps within 1e-4 of PEFT's; where PEFT loads only a part, gradients equal to autograd's.
- **packed**: texts may share a row. Where they may not, set `packing: false`; texts for continued pretraining always
  share rows, so these bases are fine-tuned only.
- **score**, **generate**: log-likelihoods within 1e-3 nats, the same greedy tokens. "one by one": each answer is a pass
  of its own, which is slower.
- **export**: "PEFT" and merged, or "merged": PEFT loads the adapter only in part, so `regimen export` asks for
  `--merged`. Adapters sit on linear layers; experts that a model holds as one block of weights get none.
- **full**: a model of which all weights were trained is read back bit for bit.

Windows, chunks, soft caps and attention sinks are computed as the model's own code says.

| family | train | packed | score | generate | export | full |
|---|---|---|---|---|---|---|
"""


def line(name: str) -> str:
    """The family's row: what it passes, or why it is refused."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            family = Family(name, Path(folder))
        except ModelError as fault:
            return f"| {name} | refused: {fault} | | | | | |\n"
        asked = "yes" if family.ways == "all" else "one by one"
        merged_only = family.base.peft_fault is not None
        cells = [
            "yes" if family.packed() < 1e-4 and (merged_only or family.trained() < 1e-4) else "no",
            "no" if family.ways == "alone" else "yes",
            asked if family.scored() < 1e-3 else "no",
            asked if family.generated() else "no",
            ("merged" if merged_only else "PEFT") if family.exported() < 1e-4 else "no",
            "yes" if family.full() else "no",
        ]
    return f"| {name} | {' | '.join(cells)} |\n"


def main() -> None:
    """Tries all families, which takes a minute or two."""
    warnings.simplefilter("ignore")
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    PAGE.write_text(HEAD + "".join(line(name) for name in FAMILIES), encoding="utf-8")


if __name__ == "__main__":
    main()
