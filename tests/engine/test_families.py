"""Every family passes all that it is accepted for, against transformers and PEFT, or is refused in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from regimen.engine.loading import load_base
from regimen.errors import ModelError
from tests.support.families import ALONE, FAMILIES, QUICK, REFUSED, marked, save_family
from tests.support.family_checks import Family

# answers are scored one by one, since positions count columns
APART = {"bloom", "falcon-alibi", "mpt", "gpt_neo"}
# PEFT remaps the names of dense and shared layers to fused experts, so adapters leave only merged
MERGED_ONLY = {"deepseek_v2", "deepseek_v3", "dots1", "glm4_moe", "ernie4_5_moe", "hunyuan_v1_moe", "qwen3_next"}


def test_as_many_families_as_people_use() -> None:
    assert len(FAMILIES) >= 45
    assert APART | ALONE | MERGED_ONLY | set(REFUSED) | QUICK <= set(FAMILIES)


@pytest.mark.filterwarnings("ignore")  # transformers' own
@pytest.mark.parametrize("name", [marked(name) for name in FAMILIES if name not in REFUSED])
def test_a_family_is_right_in_all_it_is_accepted_for(name: str, tmp_path: Path) -> None:
    family = Family(name, tmp_path)
    assert family.ways == ("alone" if name in ALONE else "apart" if name in APART else "all")
    assert (family.base.peft_fault is not None) == (name in MERGED_ONLY)
    assert family.packed() < 1e-4
    assert family.scored() < 1e-3
    assert family.generated()
    assert family.exported() < 1e-4
    assert family.full()
    if name not in MERGED_ONLY:
        assert family.trained() < 1e-4


@pytest.mark.parametrize("name", REFUSED)
def test_a_family_is_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load_base(save_family(name, tmp_path), "fp32")
    assert REFUSED[name] in str(caught.value)
    assert "\n" not in str(caught.value)
