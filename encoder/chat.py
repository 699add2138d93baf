"""Answers of a language model, piece by piece: a chat where its tokenizer has a template."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any

import torch
from jinja2 import TemplateError
from torch import Tensor
from transformers import StoppingCriteria

from encoder.instructions import clean
from encoder.loading import Decoder, context_tokens
from encoder.prompting import Turn, readable, special_affixes, write_chat

PLAIN_ANSWER = "Answer:"
"""What stands before an answer where the tokenizer has no template."""


class ChatModel:
    """Answers a conversation with the likeliest tokens; the same answer every time."""

    def __init__(self, decoder: Decoder) -> None:
        """Wrap a loaded model.

        Args:
            decoder: Causal, with its head; such as the generator of `load_with_generator`.
        """
        self._decoder = decoder

    @property
    def context_tokens(self) -> int:
        """What the model reads and writes at once, at most."""
        return context_tokens(self._decoder.model.config)

    def quotable(self, text: str) -> str:
        """Take out of a text what is spelled like a special token, and spaces around the text."""
        tokens = max(1, len(text.encode("utf-8", "replace")))  # a token is a byte at least
        return readable(self._decoder.tokenizer, [text], max_tokens=tokens)[0]

    def beginning(self, text: str, *, max_tokens: int) -> str:
        """Cut a text behind its first tokens, at least one of them."""
        encoded = self._decoder.tokenizer(
            clean(text), add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        spans: list[tuple[int, int]] = encoded["offset_mapping"]
        return text if len(spans) <= max_tokens else text[: spans[max(1, max_tokens) - 1][1]]

    def prompt_tokens(self, turns: Sequence[Turn]) -> int:
        """Count what a conversation takes of the context."""
        return len(self._ids(turns))

    def write(self, turns: Sequence[Turn], *, max_new_tokens: int) -> Iterator[str]:
        """Answer a conversation, giving each piece as soon as it is written.

        The model stops when the iterator is closed. Behind a plain prompt the answer ends with its
        first paragraph: a model without a template would go on with another question.

        Args:
            turns: Roles ``system``, first if at all, ``user`` and ``assistant``.
            max_new_tokens: The answer is cut there.

        Yields:
            Pieces of the answer, special tokens left out.

        Raises:
            ValueError: prompt and answer do not fit into the model's context.
        """
        ids = self._ids(turns)
        if len(ids) + max_new_tokens > self.context_tokens:
            raise ValueError(
                f"a prompt and {max_new_tokens} new tokens must fit into the model's context of "
                f"{self.context_tokens} tokens; the prompt has {len(ids)}\n"
                "hint: ask a shorter question, with fewer sources, or for a shorter answer"
            )
        pieces = _Writing(self._decoder, ids, max_new_tokens=max_new_tokens)
        try:
            yield from pieces if self._decoder.tokenizer.chat_template else first_paragraph(pieces)
        finally:
            pieces.stop()

    def _ids(self, turns: Sequence[Turn]) -> list[int]:
        tokenizer = self._decoder.tokenizer
        first: list[int] = special_affixes(tokenizer)[0].tolist()
        prompt = clean(self._prompt(turns))
        ids: list[int] = tokenizer(prompt, add_special_tokens=False, verbose=False)["input_ids"]
        # A chat template writes the beginning of a text itself.
        return ids if ids[: len(first)] == first else first + ids

    def _prompt(self, turns: Sequence[Turn]) -> str:
        if not self._decoder.tokenizer.chat_template:
            return "\n\n".join([*map(_plain, turns), PLAIN_ANSWER])
        return _chat(self._decoder, turns)


class _Tokens:
    """Hands on the ids of tokens as ``generate`` chooses them; a streamer of transformers."""

    def __init__(self) -> None:
        self._ids: SimpleQueue[int | None] = SimpleQueue()
        self._prompt_seen = False

    def put(self, ids: Tensor) -> None:
        """Take the prompt, which is left out, then each token."""
        if self._prompt_seen:
            for id_ in ids.tolist():
                self._ids.put(id_)
        self._prompt_seen = True

    def end(self) -> None:
        """Take no more."""
        self._ids.put(None)

    def __iter__(self) -> Iterator[int]:
        while (id_ := self._ids.get()) is not None:
            yield id_


class _Writing:
    """A model that writes in a thread of its own, as pieces of text."""

    def __init__(self, decoder: Decoder, ids: list[int], *, max_new_tokens: int) -> None:
        self._decoder = decoder
        self._ids = ids
        self._new_tokens = max_new_tokens
        self._stopped = threading.Event()
        self._error: BaseException | None = None
        self._tokens = _Tokens()
        self._thread = threading.Thread(target=self._run, name="argot-answer", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[str]:
        ids: list[int] = []
        shown = ""
        for id_ in self._tokens:
            ids.append(id_)
            text = self._decode(ids)
            # A token may end inside of a character.
            if len(text) > len(shown) and not text.endswith("\ufffd"):
                yield text[len(shown) :]
                shown = text
        if self._error is not None:
            raise self._error
        if rest := self._decode(ids)[len(shown) :]:
            yield rest

    def _decode(self, ids: list[int]) -> str:
        # Cleaning up would change what was shown already.
        return str(
            self._decoder.tokenizer.decode(
                ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )

    def stop(self) -> None:
        """Let the model write no further token, and wait until it has stopped."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._generate()
        except BaseException as exc:  # noqa: BLE001 - raised where the pieces are read
            self._error = exc
        finally:
            self._tokens.end()

    def _generate(self) -> None:
        tokenizer = self._decoder.tokenizer
        model: Any = self._decoder.model  # Any: the class of all models does not say `generate`
        ids = torch.tensor([self._ids], device=model.device)
        model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=self._new_tokens,
            do_sample=False,
            temperature=None,
            top_p=None,
            top_k=None,
            pad_token_id=tokenizer.pad_token_id,
            streamer=self._tokens,
            stopping_criteria=[_When(self._stopped)],
        )


class _When(StoppingCriteria):
    """Ends the writing when an event is set."""

    def __init__(self, event: threading.Event) -> None:
        self._event = event

    def __call__(self, input_ids: Tensor, scores: Tensor, **_: object) -> Tensor:  # noqa: ARG002
        return torch.full((len(input_ids),), self._event.is_set(), device=input_ids.device)


def first_paragraph(pieces: Iterable[str]) -> Iterator[str]:
    """Pass text on up to its first blank line, without the line breaks around it."""
    held = ""
    begun = False
    for piece in pieces:
        held += piece
        held = held if begun else held.lstrip()
        begun = begun or bool(held)
        text, blank_line, _ = held.partition("\n\n")
        ready = text.rstrip("\n")  # a line break may be the first of two
        if ready:
            yield ready
        if blank_line:
            return
        held = held[len(ready) :]


def _plain(turn: Turn) -> str:
    said = turn["content"]
    return f"{PLAIN_ANSWER} {said}" if turn["role"] == "assistant" else said


def _chat(decoder: Decoder, turns: Sequence[Turn]) -> str:
    """Write out a chat; the system turn joins the user's where the template has no place for it."""
    try:
        prompt = write_chat(decoder.tokenizer, turns)
    except TemplateError:
        prompt = ""
    if turns[0]["role"] != "system" or turns[0]["content"].strip() in prompt:
        return prompt or write_chat(decoder.tokenizer, turns)
    system, first, *others = turns
    joined = {"role": first["role"], "content": f"{system['content']}\n\n{first['content']}"}
    return write_chat(decoder.tokenizer, [joined, *others])
