"""A project whose encoders count words: two that are good and one that is not."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from argot import Project
from argot.settings import EncoderChoice
from encoder.base import FloatArray
from encoder.fake import HashingEncoder
from indexing.sync.options import SyncOptions

WORDS = [
    "anchor",
    "basin",
    "cable",
    "dynamo",
    "engine",
    "furnace",
    "gasket",
    "hinge",
    "impeller",
    "jack",
    "keel",
    "lever",
]


class Counting(HashingEncoder):
    """Counts the texts that it encodes, canaries and test words left out."""

    def __init__(self, dimensions: int) -> None:
        super().__init__(dimensions)
        self.texts: list[str] = []
        self.queries: list[str] = []
        self.refuses = ""

    def encode_documents(
        self, texts: Sequence[str], *, dimensions: int | None = None
    ) -> FloatArray:
        if self.refuses and any(self.refuses in text for text in texts):
            raise RuntimeError("this text is too strange")
        self.texts += [text for text in texts if "Document" in text]
        return super().encode_documents(texts, dimensions=dimensions)

    def encode_queries(self, texts: Sequence[str], *, dimensions: int | None = None) -> FloatArray:
        self.queries += texts
        return super().encode_documents(texts, dimensions=dimensions)


class Useless(Counting):
    """Gives every document the same vector but for its length."""

    @property
    def fingerprint(self) -> str:
        return "bad" + super().fingerprint[3:]

    def encode_documents(
        self, texts: Sequence[str], *, dimensions: int | None = None
    ) -> FloatArray:
        del dimensions
        self.texts += texts
        vectors = np.ones((len(texts), self.dimensions), dtype=np.float32)
        vectors[:, 0] += [len(text) % 7 for text in texts]
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def encode_queries(self, texts: Sequence[str], *, dimensions: int | None = None) -> FloatArray:
        return self.encode_documents(texts, dimensions=dimensions)


class QuickProject(Project):
    """Parses its documents in this process."""

    def _options(self, *arguments: Any, **options: Any) -> SyncOptions:
        return replace(super()._options(*arguments, **options), parse_processes=0)


class World:
    """A project, its sources and its encoders."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, fresh: bool = True
    ) -> None:
        self.root = folder / "project"
        self.docs = self.root / "docs"
        self.encoders = {"old": Counting(1024), "new": Counting(2048), "bad": Useless(64)}
        for module in ("argot.loaded_models",):
            monkeypatch.setattr(f"{module}.load_encoder", self._load)
        if fresh:
            self.docs.mkdir(parents=True)
            self.settings()
            for number in range(24):
                self.write(number)

    def settings(self, *lines: str, model: str = "old") -> None:
        """Write argot.toml."""
        text = f"[[sources]]\nname = 'docs'\npath = 'docs'\n[encoder]\nmodel = '{model}'\n"
        (self.root / "argot.toml").write_text("\n".join([text, *lines]), encoding="utf-8")

    def write(self, number: int, *, more: str = "") -> None:
        """Write a document with a heading that no other has."""
        one, two = WORDS[number % 12], WORDS[(number * 5 + 1) % 12]
        body = f"Document {number} about {two}, see part{number}. {more}"
        text = f"# The {one} of part{number}\n\n{body}\n"
        (self.docs / f"{number:02}.md").write_text(text, encoding="utf-8")

    @property
    def project(self) -> Project:
        """The project as a new process would open it."""
        return QuickProject.open(self.root)

    def forget(self) -> None:
        """Forget what was encoded."""
        for encoder in self.encoders.values():
            encoder.texts.clear()

    def _load(self, choice: EncoderChoice, paths: object) -> Counting | None:
        del paths
        return self.encoders[choice.model] if choice.model else None
