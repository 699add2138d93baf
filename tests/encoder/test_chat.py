"""A chat model writes what transformers writes, piece by piece, and stops when it is told to."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from encoder.chat import ChatModel, first_paragraph
from encoder.loading import Decoder, load_decoder

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("one_thread")]

Write = Callable[..., Path]

TEMPLATE = (
    "{% for message in messages %}<bos>{{ message['role'] }}: {{ message['content'] }}<eos>"
    "{% endfor %}{% if add_generation_prompt %}<bos>assistant: {% endif %}"
)
NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    + TEMPLATE
)
TURNS = [
    {"role": "system", "content": "Answer from the sources."},
    {"role": "user", "content": "how many days of leave?"},
]


def load(folder: Path, template: str | None = None) -> Decoder:
    decoder = load_decoder(folder, causal=True, with_head=True, dtype=torch.float32, device="cpu")
    decoder.tokenizer.chat_template = template
    return decoder


@pytest.fixture
def folder(write_decoder: Write) -> Path:
    return write_decoder("llama", initializer_range=0.3)


def generated(decoder: Decoder, prompt: str, *, max_new_tokens: int) -> str:
    encoded = decoder.tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
    ids = decoder.model.generate(**encoded, do_sample=False, max_new_tokens=max_new_tokens)
    written = ids[0, encoded["input_ids"].shape[1] :]
    return str(decoder.tokenizer.decode(written, skip_special_tokens=True))


def chat_writers() -> int:
    return sum(thread.name == "argot-answer" for thread in threading.enumerate())


def test_it_writes_what_transformers_writes_piece_by_piece(folder: Path):
    decoder = load(folder, TEMPLATE)
    pieces = list(ChatModel(decoder).write(TURNS, max_new_tokens=30))
    prompt = (
        "<bos>system: Answer from the sources.<eos><bos>user: how many days of leave?<eos>"
        "<bos>assistant: "
    )
    assert "".join(pieces) == generated(decoder, prompt, max_new_tokens=30)
    assert len(pieces) > 3
    assert "".join(ChatModel(decoder).write(TURNS, max_new_tokens=30)) == "".join(pieces)


def test_without_a_template_the_prompt_is_plain_and_the_answer_one_paragraph(folder: Path):
    decoder = load(folder)
    prompt = "Answer from the sources.\n\nhow many days of leave?\n\nAnswer:"
    written = "".join(ChatModel(decoder).write(TURNS, max_new_tokens=20))
    assert written == "".join(first_paragraph([generated(decoder, prompt, max_new_tokens=20)]))
    assert written
    count = len(decoder.tokenizer(prompt)["input_ids"])
    assert ChatModel(decoder).prompt_tokens(TURNS) == count


def test_the_system_turn_joins_the_question_where_a_template_has_no_place_for_it(folder: Path):
    chat = ChatModel(load(folder, NO_SYSTEM))
    joined = [{"role": "user", "content": f"{TURNS[0]['content']}\n\n{TURNS[1]['content']}"}]
    assert chat._prompt(TURNS) == ChatModel(load(folder, TEMPLATE))._prompt(joined)
    assert chat._prompt(TURNS[1:]) == ChatModel(load(folder, TEMPLATE))._prompt(TURNS[1:])


def test_closing_the_answer_stops_the_model(folder: Path):
    chat = ChatModel(load(folder, TEMPLATE))
    for _ in chat.write(TURNS, max_new_tokens=60):
        assert chat_writers() == 1
        break
    assert chat_writers() == 0


def test_an_error_of_the_model_is_raised_where_the_answer_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    decoder = load(folder, TEMPLATE)

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(decoder.model.model, "forward", broken)
    with pytest.raises(RuntimeError, match="out of memory"):
        list(ChatModel(decoder).write(TURNS, max_new_tokens=5))
    assert chat_writers() == 0


def test_what_does_not_fit_into_the_context_is_refused(folder: Path):
    chat = ChatModel(load(folder, TEMPLATE))
    assert chat.context_tokens == 128
    with pytest.raises(ValueError, match="context of 128 tokens; the prompt has"):
        list(chat.write(TURNS, max_new_tokens=128))


def test_quotes_lose_special_tokens_and_beginnings_are_counted_in_tokens(folder: Path):
    chat = ChatModel(load(folder))
    assert chat.quotable(" a<eos> b\ud800 ") == "a  b?"
    assert chat.quotable("") == ""
    text = "employees may take thirty days of leave\ud800"
    cut = chat.beginning(text, max_tokens=5)
    assert text.startswith(cut)
    assert len(chat._decoder.tokenizer(cut)["input_ids"]) == 5
    assert chat.beginning(text, max_tokens=500) == text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("\n\n a b\nc\n\nQuestion: d", "a b\nc"),
        ("a\n", "a"),
        ("", ""),
        ("\n\n", ""),
        ("a b", "a b"),
    ],
)
def test_a_paragraph_ends_at_the_first_blank_line(text: str, kept: str):
    for size in (1, 2, 100):
        pieces = [text[i : i + size] for i in range(0, len(text), size)]
        assert "".join(first_paragraph(pieces)) == kept
