"""Small runs over a tiny random decoder."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # an import of transformers would slow down the tests that need no model
    from transformers import PreTrainedTokenizerFast

    from adapters_training.adapt import Adaptation

SUBJECTS = ["the retriever", "a wing", "every employee", "the device", "a lazy dog", "the plate"]
VERBS = ["finds", "presses", "answers", "takes", "resets", "jumps over"]
OBJECTS = ["the passage", "thirty days of leave", "the power button", "supersonic flow"]


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    """A hundred and more different sentences of a tiny language."""
    return [f"{a} {b} {c} in every year" for a in SUBJECTS for b in VERBS for c in OBJECTS]


@pytest.fixture(scope="session")
def tokenizer(tiny_models: ModuleType) -> "PreTrainedTokenizerFast":
    """The tiny decoder's tokenizer, which adds no special tokens."""
    made: PreTrainedTokenizerFast = tiny_models.tiny_tokenizer()
    return made


@pytest.fixture(scope="session")
def teachable_folder(tiny_models: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny decoder whose random weights are large enough for an adapter to learn something."""
    folder = tmp_path_factory.mktemp("teachable")
    made: Path = tiny_models.write_tiny_decoder(folder, initializer_range=0.3)
    return made


@pytest.fixture
def adapt_tiny(
    teachable_folder: Path,
    sentences: list[str],
    one_thread: None,  # noqa: ARG001
) -> "Callable[..., Adaptation]":
    """Adapt the tiny decoder on the sentences, in float32 on the CPU."""
    from adapters_training.adapt import adapt
    from adapters_training.settings.dicts import settings_from_dict

    def run(folder: Path, *stages: dict[str, Any], **options: Any) -> "Adaptation":
        settings = settings_from_dict(
            {
                "stages": list(stages),
                "dtype": "float32",
                "device": "cpu",
                "checkpoint_every_seconds": 0,
                **options.pop("settings", {}),
            }
        )
        texts = options.pop("texts", sentences)
        return adapt(teachable_folder, texts, settings=settings, run_folder=folder, **options)

    return run


@pytest.fixture
def mntp_stage() -> dict[str, Any]:
    return {
        "kind": "mntp",
        "steps": 6,
        "batch_size": 8,
        "micro_batch_size": 4,
        "max_tokens": 16,
        "optimizer": {"learning_rate": 1e-2},
    }


@pytest.fixture
def simcse_stage() -> dict[str, Any]:
    return {
        "kind": "simcse",
        "steps": 6,
        "batch_size": 16,
        "max_tokens": 16,
        "optimizer": {"learning_rate": 1e-2},
    }
