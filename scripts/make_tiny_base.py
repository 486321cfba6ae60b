"""Makes the tiny base models that regimen ships: `python scripts/make_tiny_base.py [tiny-qwen2|tiny-llama]`.

A Qwen2 of 1.1M parameters with its own byte-level BPE of 2,048 tokens, and a Llama of 0.2M with one of 1,024, for
studies of several bases. Each is pretrained on the miniature's general text
(which holds a taste of the tasks' formats under other words), of which it is given many more pages than the table has,
and on a few training rows of each task in the study's own form. Then, for a few steps, the labels of closed tasks are
dealt out at random: what remains is a base that reads and knows the forms of questions, but must be taught what a
task's labels stand for. Zero-shot it is above chance on some tasks and far below what fine-tuning reaches.
Never sees a test row. The same script gives the same bytes on the same kind of machine and library versions; the
digests of what was shipped stand in the folder's provenance.json.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Regex, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split
from tokenizers.trainers import BpeTrainer
from torch.nn import functional
from transformers import AutoModelForCausalLM, LlamaConfig, PretrainedConfig, PreTrainedModel, Qwen2Config

from regimen.data.blocks import Block, TextPacker
from regimen.data.cleaning import Drops
from regimen.data.forms import render_text
from regimen.data.miniature.catalogue import more_general_text
from regimen.data.rows import usable_rows
from regimen.data.sources import Where
from regimen.engine.base_model import segment_mask
from regimen.study import Study, load_study

HOME = Path(__file__).parents[1] / "src" / "regimen" / "assets"
GENERAL = ("openwebtext", "wikitext", "bookcorpus")
PAGES = 40_000  # pages beyond those of openwebtext's table, so that what is learned is the language and not the table
TASTE = 24  # training rows of each other source, in the study's own form
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
# Qwen2 splits text before merging by this pattern (its tokenizer.json, "pre_tokenizer").
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SEED = 11
BLOCK, ROWS = 128, 32
PEAK = 4e-3
SHUFFLED, AFTER_PEAK, AFTER_STEPS = 400, 1e-3, 120


@dataclass(frozen=True)
class TinyBase:
    """A base's vocabulary, tokenizer class, shape, and steps of pretraining."""

    vocabulary: int
    tokenizer_class: str
    config: Callable[..., PretrainedConfig]
    shape: Mapping[str, int]
    steps: int


BASES = {
    "tiny-qwen2": TinyBase(
        2048,
        "Qwen2Tokenizer",
        Qwen2Config,
        {"hidden_size": 128, "intermediate_size": 352, "num_hidden_layers": 4, "num_key_value_heads": 2},
        2400,
    ),
    "tiny-llama": TinyBase(
        1024,
        "PreTrainedTokenizerFast",
        LlamaConfig,
        {"hidden_size": 64, "intermediate_size": 176, "num_hidden_layers": 3, "num_key_value_heads": 2},
        1200,
    ),
}


def texts_of(study: Study, name: str, count: int | None = None) -> list[str]:
    """Training texts of a source, all of them or the first few."""
    rows = usable_rows(name, study.sources[name], "train", Where("miniature"), Drops())
    texts = []
    for row in rows:
        texts.append(render_text(study.sources[name].form, row.values))
        if count is not None and len(texts) == count:
            break
    return texts


def corpus(study: Study) -> list[str]:
    """General text, and the taste of each task, in a fixed random order."""
    documents = [text for name in GENERAL for text in texts_of(study, name)]
    documents += more_general_text(PAGES, "tiny-base")
    others = [name for name, source in study.sources.items() if name not in GENERAL and source.split]
    documents += [text for name in others for text in texts_of(study, name, TASTE)]
    order = np.random.default_rng(SEED).permutation(len(documents))
    return [documents[i] for i in order]


def shuffled_labels(study: Study) -> list[str]:
    """Training rows of the closed tasks whose labels belong to other rows, among as many pages of general text."""
    documents = []
    for source_name, source in study.sources.items():
        label = source.form.label
        if label is None or source.split is None:
            continue
        usable = usable_rows(source_name, source, "train", Where("miniature"), Drops())
        rows = [row.values for row in usable][:SHUFFLED]
        order = np.random.default_rng(SEED).permutation(len(rows))
        dealt = [row | {label.column: rows[i][label.column]} for row, i in zip(rows, order, strict=True)]
        documents += [render_text(source.form, row) for row in dealt]
    documents += more_general_text(len(documents), "tiny-base-after")
    order = np.random.default_rng(SEED).permutation(len(documents))
    return [documents[i] for i in order]


def train_tokenizer(study: Study, folder: Path, base: TinyBase) -> Tokenizer:
    """A byte-level BPE in Qwen2's manner, trained on the training texts of every source."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = Sequence(
        [Split(Regex(SPLIT), behavior="isolated"), ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=base.vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    names = [name for name, source in study.sources.items() if source.split]
    tokenizer.train_from_iterator((text for name in names for text in texts_of(study, name)), trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": base.tokenizer_class, "eos_token": SPECIAL[0], "pad_token": SPECIAL[0]}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    return tokenizer


def model_config(base: TinyBase) -> PretrainedConfig:
    """The shape; both kinds share what the table of bases does not name."""
    return base.config(
        vocab_size=base.vocabulary,
        num_attention_heads=4,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
        **base.shape,
    )


def batches(blocks: list[Block], steps: int) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """`steps` batches, each epoch in its own order."""
    rng = np.random.default_rng(SEED)
    order: list[int] = []
    for _ in range(steps):
        if len(order) < ROWS:
            order += rng.permutation(len(blocks)).tolist()
        chosen, order = [blocks[i] for i in order[:ROWS]], order[ROWS:]
        yield (
            torch.from_numpy(np.stack([b.tokens for b in chosen])).long(),
            torch.from_numpy(np.stack([b.positions for b in chosen])).long(),
            torch.from_numpy(np.stack([b.loss for b in chosen])),
        )


def pretrain(model: PreTrainedModel, blocks: list[Block], steps: int, peak: float) -> None:
    """AdamW, linear warm-up, cosine to a tenth."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=peak, betas=(0.9, 0.95), weight_decay=0.1)
    warmup = max(1, steps // 20)
    started = time.time()
    for step, (tokens, positions, loss_mask) in enumerate(batches(blocks, steps)):
        progress = max(0.0, (step - warmup) / max(1, steps - warmup))
        rate = peak * min(1.0, (step + 1) / warmup) * (0.1 + 0.45 * (1 + math.cos(math.pi * progress)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        mask = segment_mask(positions)
        logits = model(input_ids=tokens, position_ids=positions, attention_mask=mask, use_cache=False).logits
        losses = functional.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
        loss = losses[loss_mask[:, 1:].flatten()].mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        if step % 50 == 0 or step == steps - 1:
            print(f"step {step:5d}  loss {loss.item():.3f}  {time.time() - started:.0f} s", flush=True)


def blocks_of(tokenizer: Tokenizer, texts: list[str]) -> list[Block]:
    """The texts one after another in full blocks, each ended by the end-of-text token."""
    packer = TextPacker(BLOCK, 0)
    blocks = [block for text in texts for block in packer.add([*tokenizer.encode(text).ids, 0])]
    print(f"{len(blocks)} blocks of {BLOCK} tokens")
    return blocks


def save(model: Any, folder: Path) -> None:
    """The weights in bf16; `model` is changed."""
    model.to(torch.bfloat16).save_pretrained(folder)


def main() -> None:
    """Tokenizer, blocks, training, files, digests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", nargs="?", choices=list(BASES), default="tiny-qwen2")
    parser.add_argument("--to", type=Path, help="the folder (default: that of the package)")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--after", action="store_true", help="only the last steps, on the model that is there")
    options = parser.parse_args()
    base, folder = BASES[options.base], options.to or HOME / options.base
    steps = options.steps or base.steps
    torch.set_num_threads(1)  # one thread sums in one order, on any machine
    study = load_study("qwen2-finance", "demo")
    tokenizer = train_tokenizer(study, folder, base)
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    if not options.after:
        model = AutoModelForCausalLM.from_config(model_config(base))
        pretrain(model, blocks_of(tokenizer, corpus(study)), steps, PEAK)
        save(model, folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    pretrain(model, blocks_of(tokenizer, shuffled_labels(study)), AFTER_STEPS, AFTER_PEAK)
    save(model, folder)
    digests = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.name != "provenance.json"
    }
    facts = {
        "script": "scripts/make_tiny_base.py",
        "steps": steps + AFTER_STEPS,
        "tokens": (steps + AFTER_STEPS) * ROWS * BLOCK,
        "torch": torch.__version__,
        "sha256": digests,
    }
    (folder / "provenance.json").write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
