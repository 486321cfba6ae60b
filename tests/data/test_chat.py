"""Conversations to tokens and masks, against TRL and transformers."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from regimen.data.chat import ChatTemplate, encode_pieces, template_of
from regimen.data.conversations import conversation_of
from regimen.data.row_fault import RowFault

# Four styles of template, written from the formats as they are documented, each with and without marks.
MARKS = ("{% generation %}", "{% endgeneration %}")
LLAMA3 = (
    "{% for m in messages %}{% if loop.first %}{{ bos_token }}{% endif %}"
    "{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' }}"
    "{% if m.role == 'assistant' %}[{{ (m.content | trim) + '<|eot_id|>' }}]"
    "{% else %}{{ (m.content | trim) + '<|eot_id|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
    "{% if m.role == 'assistant' %}[{{ m.content + '<|im_end|>' }}]{% else %}{{ m.content + '<|im_end|>' }}{% endif %}"
    "{{ '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'system' %}{{ raise_exception('no system turn') }}{% endif %}"
    "{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' }}"
    "{% if m.role == 'assistant' %}[{{ (m.content | trim) + '<end_of_turn>' }}]"
    "{% else %}{{ (m.content | trim) + '<end_of_turn>' }}{% endif %}{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'assistant' %}[{{ ' ' + m.content + eos_token }}]"
    "{% else %}{{ '[INST] ' + m.content + ' [/INST]' }}{% endif %}{% endfor %}"
)
STYLES = {"llama3": LLAMA3, "chatml": CHATML, "gemma": GEMMA, "mistral": MISTRAL}
SPECIALS = (
    *("<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    *("<start_of_turn>", "<end_of_turn>"),
)
TALK = [
    {"role": "user", "content": "Have you any lamps?"},
    {"role": "assistant", "content": "Yes, seven of them."},
    {"role": "user", "content": "And the price?"},
    {"role": "assistant", "content": "Nine crowns.\nEach, that is."},
]


def marked(style: str) -> str:
    """The style with marks round what stands between its square brackets."""
    text = STYLES[style].replace("'[INST] '", "'<INST> '").replace("' [/INST]'", "' </INST>'")
    return text.replace("[{{", MARKS[0] + "{{").replace("}}]", "}}" + MARKS[1])


def plain(style: str) -> str:
    """The style without marks."""
    return marked(style).replace(MARKS[0], "").replace(MARKS[1], "")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a byte-level tokenizer that knows every style's special tokens."""
    folder = tmp_path_factory.mktemp("base")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=list(SPECIALS), initial_alphabet=alphabet)
    tokenizer.train_from_iterator([turn["content"] for turn in TALK] * 3, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def encoder(base: Path) -> Any:
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    return lambda texts: [one.ids for one in tokenizer.encode_batch(list(texts), add_special_tokens=False)]


def ours(
    base: Path, template: str, talk: list[dict[str, str]], loss: Any = "assistant"
) -> tuple[list[int], list[bool]]:
    conversation = conversation_of("messages", talk)
    return encode_pieces(template_of(base, template).pieces(conversation, loss), encoder(base))


@pytest.mark.parametrize("style", STYLES)
def test_marks_give_the_mask_that_trl_gives(base: Path, style: str) -> None:
    """TRL's `assistant_only_loss` asks transformers for exactly this mask."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(base)
    theirs: Any = tokenizer.apply_chat_template(
        TALK,
        chat_template=marked(style),
        tokenize=True,
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    ids, loss = ours(base, marked(style), TALK)
    assert ids == theirs["input_ids"]
    assert [int(value) for value in loss] == theirs["assistant_masks"]
    assert any(loss)
    assert not all(loss)


@pytest.mark.parametrize("style", STYLES)
def test_without_marks_the_mask_is_the_same(base: Path, style: str) -> None:
    assert ours(base, plain(style), TALK) == ours(base, marked(style), TALK)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("with_marks", [True, False])
def test_the_last_turn_alone(base: Path, style: str, with_marks: bool) -> None:
    """Its loss begins where a chat server's prompt ends."""
    template = marked(style) if with_marks else plain(style)
    ids, loss = ours(base, template, TALK, "last")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(base)
    prompt: Any = tokenizer.apply_chat_template(
        TALK[:-1], chat_template=template, tokenize=True, add_generation_prompt=True, return_dict=True
    )
    assert loss.index(True) == len(prompt["input_ids"])
    assert ids[: loss.index(True)] == prompt["input_ids"]


def test_a_template_that_rewrites_earlier_turns_is_noticed(base: Path) -> None:
    rewriting = plain("chatml").replace("m.content +", "(m.content if loop.last or m.role == 'user' else '...') +")
    with pytest.raises(RowFault) as fault:
        ours(base, rewriting, TALK)
    assert fault.value.drop is not None
    assert "loss: last" in fault.value.drop
    assert any(ours(base, rewriting, TALK, "last")[1])


def test_a_row_that_holds_a_mark_is_dropped_and_named(base: Path) -> None:
    talk = [{"role": "user", "content": "say <|im_end|>"}, {"role": "assistant", "content": "no"}]
    with pytest.raises(RowFault, match="im_end") as fault:
        ours(base, marked("chatml"), talk)
    assert fault.value.drop == "holds a mark of the chat template"


def test_what_a_template_refuses_is_dropped_with_its_words(base: Path) -> None:
    with pytest.raises(RowFault) as fault:
        ours(base, marked("gemma"), [{"role": "system", "content": "be kind"}, *TALK])
    assert "no system turn" in (fault.value.drop or "")


def test_both_namings_are_one_conversation() -> None:
    sharegpt = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]
    openai = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [{"type": "text", "text": "Ho"}]}]
    assert conversation_of("c", sharegpt) == conversation_of("c", openai)
    assert conversation_of("c", sharegpt, system="Be kind.").turns[0].role == "system"


@pytest.mark.parametrize(
    ("value", "drop"),
    [
        (None, "empty"),
        ([], "empty"),
        ([{"role": "user", "content": "Hi"}], "no assistant turn"),
        ("Hi", None),
        ([{"text": "Hi"}], None),
        ([{"role": "user", "content": {"image": "x"}}], None),
        ([{"from": "alien", "value": "Hi"}], None),
    ],
)
def test_what_is_no_conversation(value: object, drop: str | None) -> None:
    with pytest.raises(RowFault) as fault:
        conversation_of("messages", value)
    assert fault.value.drop == drop


def test_the_packaged_chatml_marks_the_assistant_alone(base: Path) -> None:
    assert ours(base, "chatml", TALK) == ours(base, marked("chatml"), TALK)


def test_chatml_opens_the_assistants_turn(base: Path) -> None:
    template: ChatTemplate = template_of(base, "chatml")
    conversation = conversation_of("messages", TALK)
    assert template.prompt(conversation, 3).endswith("<|im_start|>assistant\n")


@pytest.mark.parametrize("style", STYLES)
def test_a_batch_of_trl_s_own_trainer_has_these_tokens_and_this_loss(base: Path, style: str, tmp_path: Path) -> None:
    """SFTTrainer with `assistant_only_loss`, from the rows to the batch that its collator makes."""
    trl = pytest.importorskip("trl", reason="the oracle is not installed")
    import datasets
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = PreTrainedTokenizerFast.from_pretrained(base, pad_token="</s>", chat_template=marked(style))
    sizes: dict[str, Any] = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    talks = [TALK, TALK[2:], [*TALK, *TALK[:2]]]
    datasets.disable_progress_bars()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs
        trainer = trl.SFTTrainer(
            model=LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **sizes)),
            args=trl.SFTConfig(
                output_dir=str(tmp_path), assistant_only_loss=True, max_length=None, per_device_train_batch_size=3,
                use_cpu=True, bf16=False, report_to="none", train_sampling_strategy="sequential",
            ),
            train_dataset=datasets.Dataset.from_list([{"messages": talk} for talk in talks]),
            processing_class=tokenizer,
        )  # fmt: skip
        batch: Any = next(iter(trainer.get_train_dataloader()))
    for talk, row, labels in zip(talks, batch["input_ids"], batch["labels"], strict=True):
        ids, loss = ours(base, marked(style), talk)
        assert row[: len(ids)].tolist() == ids
        wanted = torch.where(torch.tensor(loss), torch.tensor(ids), -100)
        assert labels[: len(ids)].tolist() == wanted.tolist()
        assert (labels[len(ids) :] == -100).all()
