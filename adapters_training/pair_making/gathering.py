"""Collect pairs by origin: labelled, from structure, written by the model itself."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from adapters_training.pair_making.current_encoder import CurrentEncoder
from adapters_training.pair_making.sources import PairSources, countdown, make_rankers, passage_pool
from adapters_training.pairs import Pair
from adapters_training.settings.contrastive import MINERS, ContrastiveSettings
from adapters_training.settings.run import AdaptSettings
from adapters_training.stages.building import DTYPES, quantization_of
from adapters_training.structure.pairs import structural_pairs
from adapters_training.synthetic.prompt import BUILT_IN_EXAMPLES, Example
from adapters_training.synthetic.queries import has_text, write_queries
from adapters_training.synthetic.round_trip import SyntheticReport, keep_found
from adapters_training.text.documents import TrainingText
from encoder.hardware import choose_device
from encoder.loading import Decoder, load_decoder

logger = logging.getLogger(__name__)

WRITTEN_FILE = "written-queries.jsonl"


def gather(
    sources: PairSources,
    settings: ContrastiveSettings,
    *,
    run: AdaptSettings,
    folder: Path,
    seed: int,
    encoder: CurrentEncoder,
) -> tuple[list[Pair], dict[str, Any]]:
    """Collect the pairs of each origin that the settings name, and tell what came of each."""
    pairs: list[Pair] = []
    report: dict[str, Any] = {}
    if "labelled" in settings.pairs:
        pairs += sources.labelled
        report["labelled"] = {"kept": len(sources.labelled)}
    if "structural" in settings.pairs:
        found, report["structural"] = pairs_by_source(sources.corpus.items, seed=seed)
        pairs += found
    if "synthetic" in settings.pairs:
        written, synthetic = write_pairs(
            sources, settings, run=run, folder=folder, seed=seed, encoder=encoder
        )
        pairs += written
        report["synthetic"] = synthetic.to_dict()
    return pairs, report


def write_pairs(
    sources: PairSources,
    settings: ContrastiveSettings,
    *,
    run: AdaptSettings,
    folder: Path,
    seed: int,
    encoder: CurrentEncoder,
) -> tuple[list[Pair], SyntheticReport]:
    """Let the base write queries for passages of the text, and keep those that find them again."""
    passages = passage_pool(sources, settings, seed=seed)
    if not any(map(has_text, passages)):
        logger.warning("no query is written: no passage of the text is long enough for one")
        return [], SyntheticReport()
    folder.mkdir(parents=True, exist_ok=True)
    written = write_queries(
        load_writer(sources.base, run=run),
        passages,
        settings=settings.synthetic,
        cache=folder / WRITTEN_FILE,
        seed=seed,
        examples=shown_examples(sources, settings),
        progress=countdown("passages with queries", sources.announce),
    )
    return keep_found(
        written,
        passages,
        rankers=make_rankers(passages, MINERS, encoder=encoder, announce=sources.announce),
        settings=settings.synthetic,
    )


def load_writer(base: Path, *, run: AdaptSettings) -> Decoder:
    """Load the base as it was, with its head, to write queries."""
    device = run.device or choose_device()
    return load_decoder(
        base,
        causal=True,
        with_head=True,
        dtype=DTYPES[run.dtype],
        device=device,
        quantization=quantization_of(run, device=device),
    )


def shown_examples(sources: PairSources, settings: ContrastiveSettings) -> Sequence[Example]:
    """Choose the queries that the model is shown: the user's own, where there are any."""
    labelled = sources.labelled[: settings.synthetic.examples]
    return [(pair.query, pair.positive) for pair in labelled] or BUILT_IN_EXAMPLES


def pairs_by_source(
    texts: Sequence[TrainingText], *, seed: int
) -> tuple[list[Pair], dict[str, Any]]:
    """Make pairs from structure, those of one source and kind in a set of their own.

    Negatives of the same source are harder than those of another.

    Returns:
        The pairs, and for each source what was kept and dropped.
    """
    by_source: dict[str, list[TrainingText]] = {}
    for text in texts:
        by_source.setdefault(text.source, []).append(text)
    pairs: list[Pair] = []
    report: dict[str, Any] = {}
    for source, items in by_source.items():
        found, counted = structural_pairs(items, seed=seed)
        pairs += [replace(pair, set=f"{source} {pair.set}".strip()) for pair in found]
        report[source or "text"] = asdict(counted)
    return pairs, report
