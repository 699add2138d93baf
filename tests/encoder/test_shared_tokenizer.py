"""A language model's tokenizer serves the threads of searches and of answers at once."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from encoder.chat import ChatModel
from encoder.loading import Decoder, load_decoder
from encoder.prompting import Turn, readable, special_affixes
from encoder.search_prompts import JUDGE, write_prompt

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("one_thread")]

TEXT = "What a stage reads. <eos> " * 40


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Threads that change places as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("quick_switches")
@pytest.mark.parametrize("cuts", [False, True])
def test_threads_that_share_a_tokenizer_read_what_one_alone_reads(
    tiny_decoder_folder: Path, cuts: bool
):
    decoder = load_decoder(tiny_decoder_folder, causal=True, with_head=True)
    wanted = read(decoder, 0), count(decoder, 0)
    if cuts:  # as the files of some models say
        decoder.tokenizer.backend_tokenizer.enable_truncation(4)
        decoder.tokenizer.backend_tokenizer.enable_padding(length=9)
    with ThreadPoolExecutor(4) as threads:
        work = [threads.submit(each, decoder, 25) for each in (read, count) * 4]
        found = [one.result(60) for one in work]
    assert found == [*wanted] * 4


def read(decoder: Decoder, times: int) -> list[str]:
    """Do what a reranker does."""
    for _ in range(times):
        read(decoder, 0)
    texts = readable(decoder.tokenizer, [TEXT] * 8, max_tokens=60)
    return [write_prompt(decoder.tokenizer, JUDGE, text) for text in texts]


def count(decoder: Decoder, times: int) -> tuple[int, str, int]:
    """Do what answering does."""
    for _ in range(times):
        count(decoder, 0)
    model = ChatModel(decoder)
    turns: list[Turn] = [{"role": "user", "content": "How long?"}]
    prefix, suffix = special_affixes(decoder.tokenizer)
    return (
        model.prompt_tokens(turns),
        model.beginning(TEXT, max_tokens=5),
        len(prefix) + len(suffix),
    )
