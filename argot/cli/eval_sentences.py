"""`argot eval` on scored pairs of sentences and on tagged words."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from argot.cli.eval_encoders import Encoders
from argot.cli.eval_table import Row
from argot.errors import SettingsError
from argot.evaluation.searches import evaluate_similarity, evaluate_tagging
from encoder.base import DenseEncoder
from retriever.evaluation.resampling import Measured
from retriever.evaluation.sts import read_scored_pairs
from retriever.evaluation.tagging import read_conll

if TYPE_CHECKING:
    from encoder.words import WordEncoder

PERCENT = 100
"""Papers print correlations, accuracies and F1 times 100."""


def rows_of_pairs(sts: Path, encoders: Encoders, *, dims: int | None) -> list[Row]:
    """Measure each encoder on scored pairs."""
    encoders.require()
    pairs = read_scored_pairs(sts)
    measured = encoders.measure(
        lambda dense: {"spearman": evaluate_similarity(dense, pairs, dimensions=dims)}
    )
    return _rows(measured, counts={"pairs": len(pairs.scores)})


def rows_of_words(
    tokens: Path, train: Path, encoders: Encoders, *, column: int | None, shift: bool
) -> list[Row]:
    """Measure each encoder on tagged words."""
    encoders.require()
    learnt, asked = read_conll(train, column=column), read_conll(tokens, column=column)

    def measure(encoder: DenseEncoder) -> dict[str, Measured]:
        report = evaluate_tagging(with_words(encoder), train=learnt, test=asked, shift=shift)
        spans = {} if report.f1 is None else {"f1": report.f1}
        return {"accuracy": report.accuracy, **spans}

    counts = {"sentences": len(asked.words), "words": sum(map(len, asked.words))}
    return _rows(encoders.measure(measure), counts=counts)


def with_words(encoder: DenseEncoder) -> "WordEncoder":
    """Refuse an encoder that has no states of words.

    Raises:
        SettingsError: it reads its texts twice.
    """
    from encoder.words import WordEncoder

    if not isinstance(encoder, WordEncoder):
        raise SettingsError("a text read twice has no states of words to measure; leave echo out")
    return encoder


def _rows(
    measured: Mapping[str, Mapping[str, Measured]], *, counts: Mapping[str, int]
) -> list[Row]:
    first = next(iter(measured.values()))
    rows: list[Row] = []
    for label, found in measured.items():
        against: dict[str, dict[str, float]] = {}
        for name in found if found is not first else ():
            difference = found[name].minus(first[name])
            against[name] = {
                "difference": difference.value,
                "low": difference.low,
                "high": difference.high,
            }
        metrics = {name: measure.interval() for name, measure in found.items()}
        rows.append(
            Row(label=label, counts=counts, metrics=metrics, against=against, scale=PERCENT)
        )
    return rows
