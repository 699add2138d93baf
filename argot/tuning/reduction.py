"""Which way of making vectors smaller suits a project: tried on its own vectors and queries."""

from collections.abc import Callable
from dataclasses import asdict
from typing import cast

import numpy as np

from argot.errors import SettingsError
from argot.project import Project
from argot.settings import FILE
from argot.settings_edit import edit_table
from argot.tuning.reduction_options import Tried, name_of, options
from argot.tuning.reduction_trial import SEED, TuningData, try_options
from encoder.base import DenseEncoder, FloatArray
from indexing.errors import NoIndexError
from indexing.reduction.settings import ReductionSettings
from indexing.versions.collection import OpenIndex, open_index
from indexing.versions.description import IndexVersion, live_version, read_version
from retriever.evaluation.judgements import Judgements


def tune(
    project: Project,
    judgements: Judgements,
    *,
    name: str | None = None,
    limit: int,
    progress: Callable[[str], None],
) -> list[Tried]:
    """Try every option on the vectors of an index version; the first keeps everything.

    Args:
        project: The project.
        judgements: Queries and grades; the ids are of documents.
        name: The version; None: the live one.
        limit: About so many chunks are tried, where the version has more.
        progress: Told what is done.

    Raises:
        NoIndexError: there is no such version.
        SettingsError: its vectors or the judgements are of no use for it.
    """
    indexes = project.paths.indexes
    name = name or live_version(indexes)
    if name is None:
        raise NoIndexError(f"nothing is indexed yet in {indexes}\nhint: run `argot ingest`")
    version = read_version(indexes, name)
    check_originals(version)
    dense = project.encoder_of(version)
    with open_index(indexes, version=name, server=project.settings.server) as index:
        index.check_encoder(dense)
        data = read_tuning_data(
            index,
            judgements,
            dense=cast("DenseEncoder", dense),  # None was refused just now
            depth=project.settings.search.depth,
            limit=limit,
        )
    return try_options(data, options(data.vectors.shape[1]), progress=progress)


def write_choice(project: Project, reduction: ReductionSettings) -> None:
    """Write a reduction into [index] of argot.toml; what it leaves at its default goes out.

    Raises:
        SettingsError: the file can't be changed line by line.
    """
    default = asdict(ReductionSettings())
    values = {
        name: None if value == default[name] else value for name, value in asdict(reduction).items()
    }
    edit_table(project.paths.root / FILE, "index", values)


def read_tuning_data(
    index: OpenIndex,
    judgements: Judgements,
    *,
    dense: DenseEncoder,
    depth: int,
    limit: int,
) -> TuningData:
    """Read an index's vectors: of every judged document, and of the others a random share.

    Args:
        index: Holds the encoder's own vectors.
        judgements: Queries and grades.
        dense: The encoder it was built with.
        depth: Chunks a search fetches.
        limit: About so many chunks are read, where the index has more.

    Returns:
        The data.

    Raises:
        SettingsError: the index holds no vectors, or smaller ones than the encoder gives, or no
            judged document.
    """
    version = index.version
    check_originals(version)
    graded = {id_ for grades in judgements.grades.values() for id_ in grades}
    share = limit / max(index.store.count(), 1)
    rng = np.random.default_rng(SEED)
    rows: list[FloatArray] = []
    ids: list[str] = []
    for page in index.store.scan():
        for point in page:
            id_ = point.payload["document_id"]
            if point.dense is not None and (rng.random() < share or id_ in graded):
                rows.append(point.dense)
                ids.append(id_)
    if not graded & set(ids):
        raise SettingsError(
            f"the judgements must name documents of index {version.name}; it has none of them\n"
            "hint: qrels name documents as `argot search --json` does, by document_id"
        )
    texts = list(dict.fromkeys(judgements.queries.values()))
    return TuningData(
        vectors=np.stack(rows),
        document_ids=ids,
        queries=dict(zip(texts, dense.encode_queries(texts), strict=True)),
        judgements=judgements,
        depth=depth,
    )


def check_originals(version: IndexVersion) -> None:
    """Refuse a version that nothing smaller can be made from.

    Raises:
        SettingsError: it holds no vectors, or not the encoder's own.
    """
    if version.encoder is None:
        raise SettingsError(
            f"index {version.name} has no vectors to make smaller\n"
            "hint: set `model` in [encoder] and run `argot ingest --rebuild`"
        )
    if not version.reduction.keeps_originals:
        full = version.full_dimensions or 0
        raise SettingsError(
            f"tuning needs the encoder's own vectors, {full} dimensions in f32; index "
            f"{version.name} keeps {name_of(version.reduction, full)}\n"
            "hint: comment `dimensions`, `projection` and `storage` out in [index], run "
            "`argot index build`, and name that version with --index; it need not become live"
        )
