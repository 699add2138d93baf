"""Queries of the real SmolLM2-135M; ARGOT_TEST_MODEL names its folder."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from adapters_training.settings.synthetic import SyntheticSettings
from adapters_training.synthetic.queries import write_queries
from encoder.line_cleaning import normalize
from encoder.loading import load_decoder

pytestmark = pytest.mark.model

PASSAGES = [
    "Resetting the router\nPress the small button on the back of the router for ten seconds until "
    "the light blinks red. The router then starts with its factory settings, and the wireless "
    "password is again the one on the label.",
    "Parental leave\nEmployees may take up to twelve months of parental leave after the birth of a "
    "child. The request must reach the personnel department seven weeks before the leave begins.",
    "The boundary layer on a flat plate becomes turbulent at a Reynolds number of about half a "
    "million. Roughness of the surface moves the transition towards the leading edge.",
    "Bread dough must rest for two hours at room temperature before it is baked. With less yeast "
    "it may rest overnight in the refrigerator, which improves the taste of the crust.",
    "Cookies\nOur website stores cookies on your computer to remember your shopping basket. You "
    "can delete cookies in the settings of your browser at any time.",
]


def test_the_real_model_writes_queries_about_their_passages(tmp_path: Path):
    name = os.environ.get("ARGOT_TEST_MODEL")
    if not name:
        pytest.skip("needs ARGOT_TEST_MODEL, the folder of a real decoder checkpoint")
    decoder = load_decoder(
        Path(name), causal=True, with_head=True, dtype=torch.float32, device="cpu"
    )
    written = write_queries(
        decoder,
        PASSAGES,
        settings=SyntheticSettings(queries_per_passage=4),
        cache=tmp_path / "queries.jsonl",
    )

    def shared(query: str, passage: str) -> int:
        return len({w for w in normalize(query).split() if len(w) > 3} & words(passage))

    def words(text: str) -> set[str]:
        return set(normalize(text).split())

    def finds_its_passage(query: str, own: int, passages: Sequence[str]) -> bool:
        others = [shared(query, text) for i, text in enumerate(passages) if i != own]
        return shared(query, passages[own]) > max(others)

    hits = [finds_its_passage(q.query, q.passage, PASSAGES) for q in written.queries]
    assert written.written == 4 * len(PASSAGES)
    assert len(hits) >= written.written / 2
    assert sum(hits) >= len(hits) / 2
