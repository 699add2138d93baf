"""Build an index version beside the live one, from the chunks that the catalog has of that one."""

import logging
from dataclasses import asdict, dataclass, replace

from argot.index.versions import BUILDING, live_of, open_catalog
from argot.project import Project
from argot.settings import ProjectSettings
from argot.version_choice import (
    SAMPLE_CHUNKS,
    check_reduction_fits,
    chunks_to_fit,
    fits,
    target_of,
    tokenizer_of,
)
from argot.version_encoder import vector_settings
from encoder.base import DenseEncoder
from encoder.bm25 import Bm25Encoder, Bm25Settings
from indexing.catalog.catalog import Catalog
from indexing.catalog.points import CatalogPoints
from indexing.chunks.chunking import ChunkSettings
from indexing.files.lock import hold_lock
from indexing.sync.shadow import bring_in_step
from indexing.sync.step_report import StepReport, TellStep
from indexing.sync.stored_vectors import StoredVectors
from indexing.versions.collection import OpenIndex, create_index, open_index
from indexing.versions.description import IndexVersion, list_versions, live_record
from indexing.versions.published_reader import open_published

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildReport:
    """What building a version did."""

    version: str
    live: bool
    """The live version is what was asked for already, and nothing was done."""

    step: StepReport
    longer: float = 0.0
    """Share of the chunks that are longer than the encoder reads, in [0, 1]; of a sample."""


def build_version(
    project: Project, *, encoder: str | None = None, tell: TellStep | None = None
) -> BuildReport:
    """Build a version beside the live one, from the chunks that the live one was ingested with.

    No source is asked and no document parsed. A version that was built with the same encoder and
    settings before is brought in step instead, so a run that was killed goes on where it was.

    Args:
        project: Its [index] says how the vectors and terms are stored.
        encoder: Name or folder of an encoder; None: as [encoder] says.
        tell: Told how far it has come.

    Returns:
        The version and what was done; it is not live.

    Raises:
        NoIndexError: no version is live.
        IndexLockedError: another process is building one.
        SettingsError: the encoder is not there, or has too few dimensions.
    """
    live = live_of(project)
    choice = project.choose_encoder(encoder)
    dense = project.load(choice)
    chunks = ChunkSettings(**live.chunker)
    settings = replace(project.settings, encoder=choice, chunks=chunks)
    if fits(live, settings, dense):
        return BuildReport(version=live.name, live=True, step=StepReport())
    check_reduction_fits(settings, dense)
    with (
        hold_lock(project.paths.build_lock, what=BUILDING),
        open_catalog(project) as catalog,
    ):
        points = catalog.points(version=live.name)
        index = _existing(project, settings, dense)
        if index is None:
            index = _new(
                project, settings, dense, live=live, points=points, known=catalog.versions()
            )
        with index:
            step = fill(project, catalog, index, dense=dense, live=live, tell=tell)
        longer = share_longer(sample_texts(points, count=SAMPLE_CHUNKS), dense)
    return BuildReport(version=index.version.name, live=False, step=step, longer=longer)


def fill(
    project: Project,
    catalog: Catalog,
    index: OpenIndex,
    *,
    dense: DenseEncoder | None,
    live: IndexVersion,
    tell: TellStep | None = None,
) -> StepReport:
    """Bring an open version in step with the live one; its vectors are taken where they can be.

    Args:
        project: The project.
        catalog: Knows both versions.
        index: The version.
        dense: Its encoder.
        live: The live version.
        tell: Told how far it has come.

    Returns:
        What was done.

    Raises:
        WrongEncoderError: the encoder is not the version's.
    """
    index.check_encoder(dense)
    if dense is None or index.version.encoder is None:
        return bring_in_step(catalog, target_of(index, None), source=live.name, tell=tell)
    if live.encoder != dense.fingerprint or not live.reduction.keeps_originals:
        return bring_in_step(catalog, target_of(index, dense), source=live.name, tell=tell)
    indexes, server = project.paths.indexes, project.settings.server
    with open_published(indexes, version=live.name, server=server) as stored:
        records = catalog.source("", version=live.name)
        taken = StoredVectors(dense, stored=target_of(stored, dense), records=records)
        step = bring_in_step(catalog, target_of(index, taken), source=live.name, tell=tell)
    return replace(step, chunks_embedded=step.chunks_embedded - taken.reused)


def _existing(
    project: Project, settings: ProjectSettings, dense: DenseEncoder | None
) -> OpenIndex | None:
    """Open the newest version with these settings that was built like this, or was live once."""
    indexes = project.paths.indexes
    live = live_record(indexes)
    before = live.before if live else ()
    for version in reversed(list_versions(indexes)):
        # A rebuild from the sources that is not complete stays one.
        usable = version.name in before or version.built_from
        is_live = live is not None and live.name == version.name
        if usable and not is_live and fits(version, settings, dense):
            logger.info("going on with index version %s", version.name)
            return open_index(indexes, version=version.name, server=settings.server)
    return None


def _new(
    project: Project,
    settings: ProjectSettings,
    dense: DenseEncoder | None,
    *,
    live: IndexVersion,
    points: CatalogPoints,
    known: set[str],
) -> OpenIndex:
    bm25 = Bm25Settings(language=settings.index.language, k1=settings.index.k1, b=settings.index.b)
    to_fit = chunks_to_fit(settings.index.reduction, dense)
    sample = sample_texts(points, count=max(SAMPLE_CHUNKS, to_fit))
    length = Bm25Encoder(bm25).average_length(sample) or bm25.avg_len
    return create_index(
        project.paths.indexes,
        dense=dense,
        reduction=settings.index.reduction,
        sample=sample[:to_fit],
        chunker=asdict(settings.chunks),
        bm25=asdict(replace(bm25, avg_len=length)),
        encoder_settings=vector_settings(settings.encoder),
        built_from=live.name,
        known=known,
        server=settings.server,
    )


def sample_texts(points: CatalogPoints, *, count: int) -> list[str]:
    """Take some chunks of a version, as they are encoded: the same ones while it is the same.

    Their points' names are digests, so the first by name are as good as drawn at random.
    """
    texts: list[str] = []
    for page in points.pages():
        owners = points.owners(page)
        texts += [owners[point][1].encoded_text for point in page if point in owners]
        if len(texts) >= count:
            break
    return texts[:count]


def share_longer(texts: list[str], dense: DenseEncoder | None) -> float:
    """Tell which share of the texts is longer than an encoder reads, in [0, 1].

    The chunks were cut to the tokens of the encoder they were ingested with.
    """
    limit: int | None = getattr(dense, "max_tokens", None)
    if limit is None or not texts:
        return 0.0
    tokenizer = tokenizer_of(dense)
    return sum(len(tokenizer.token_spans(text)) > limit for text in texts) / len(texts)
