"""The linear probe learns what a linear layer can, and nothing of the run changes it."""

import numpy as np
import pytest
import torch

from adapters_training.estimate.tokens import FloatArray, ProbeSettings, train_probe

pytestmark = pytest.mark.torch

TAGS = ["O", "B-loc", "B-per"]


def sentences(seed: int, *, noise: float = 0.3) -> tuple[list[FloatArray], list[list[str]]]:
    """States in three clouds, one for each tag."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(3, 16))
    states, tags = [], []
    for _ in range(40):
        kinds = rng.integers(3, size=rng.integers(1, 9))
        states.append((centres[kinds] + noise * rng.normal(size=(len(kinds), 16))).astype("f4"))
        tags.append([TAGS[kind] for kind in kinds])
    return states, tags


def share_right(found: list[list[str]], gold: list[list[str]]) -> float:
    pairs = [pair for row in zip(found, gold, strict=True) for pair in zip(*row, strict=True)]
    return float(np.mean([a == b for a, b in pairs]))


def test_tags_that_lie_apart_are_learnt_and_found_in_unseen_sentences():
    states, tags = sentences(0)
    unseen, expected = sentences(1)
    probe = train_probe(states, tags, settings=ProbeSettings(learning_rate=5e-3, steps=300))
    assert probe.labels == tuple(sorted(TAGS))
    assert share_right(probe.predict(unseen), expected) > 0.95


def test_states_that_say_nothing_teach_nothing():
    states, tags = sentences(0)
    probe = train_probe(
        [np.zeros_like(rows) for rows in states], tags, settings=ProbeSettings(steps=50)
    )
    assert len({tag for row in probe.predict(states) for tag in row}) == 1


def test_the_same_seed_gives_the_same_probe_whatever_was_drawn_before():
    states, tags = sentences(0)
    settings = ProbeSettings(steps=20)
    first = train_probe(states, tags, settings=settings)
    torch.rand(7)
    again = train_probe(states, tags, settings=settings)
    other = train_probe(states, tags, settings=ProbeSettings(steps=20, seed=1))
    assert torch.equal(first.layer.weight, again.layer.weight)
    assert not torch.equal(first.layer.weight, other.layer.weight)


def test_training_leaves_torchs_global_random_state_alone():
    states, tags = sentences(0)
    before = torch.get_rng_state()
    train_probe(states, tags, settings=ProbeSettings(steps=2))
    assert torch.equal(torch.get_rng_state(), before)


def test_words_without_tags_and_settings_out_of_range_are_refused():
    states, tags = sentences(0)
    with pytest.raises(ValueError, match="one state and one tag"):
        train_probe(states, [*tags[:-1], ["O", *tags[-1]]])
    with pytest.raises(ValueError, match="one state and one tag"):
        train_probe([], [])
    with pytest.raises(ValueError, match="`steps`"):
        ProbeSettings(steps=0)
    with pytest.raises(ValueError, match="`dropout`"):
        ProbeSettings(dropout=1.0)
