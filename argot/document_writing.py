"""Documents that a program hands over, each stored whole, as one point of the live index.

They are a source of their own beside those of argot.toml, which no sync reads and so none prunes.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice

from argot.carrying import batches_of, point_writer, recipe_of
from argot.ingestion import INGESTION, check_catalog
from argot.project import Project
from argot.settings import HANDED_OVER
from argot.version_choice import open_version, target_of
from connectors.base import Change, Connector, Upsert
from connectors.document import Document
from encoder.base import DenseEncoder, TextTokenizer
from indexing.catalog.catalog import Catalog
from indexing.catalog.leases import Lease
from indexing.catalog.source import SourceRecords
from indexing.chunks.chunking import Chunk
from indexing.errors import IndexLockedError
from indexing.files.lock import hold_lock
from indexing.identity import DocumentHashes, document_hashes
from indexing.plan import Action, decide
from indexing.records import IndexedDocument
from indexing.sync.batch import Batches
from indexing.sync.target import Target
from indexing.sync.writing import PointWriter
from indexing.versions.collection import OpenIndex
from indexing.versions.description import live_version

SOURCE = HANDED_OVER

SAMPLE = 256
"""Documents from which a new index measures the length of texts, at most."""


@dataclass(slots=True)
class WriteReport:
    """What became of documents."""

    written: int = 0
    """New or changed."""

    kept: int = 0
    """Found as they were; nothing was encoded."""

    failed: dict[str, str] = field(default_factory=dict)
    """Reason by id; all others are stored."""


@dataclass(frozen=True, slots=True)
class _Session:
    """The live index, open for writing."""

    target: Target
    records: SourceRecords
    writer: PointWriter


class DocumentWriter:
    """Writes documents into a project's live index, which is made if there is none.

    The index is open, and locked for other writers, only while a call lasts; readers go on. What a
    call wrote is found as soon as it returns. Threads take turns.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._turn = threading.Lock()

    def write(self, documents: Iterable[Document]) -> WriteReport:
        """Write documents in the place of those with the same ids; of one id, the last counts.

        A text beyond what the encoder reads is found by its beginning, and by all of its words.

        Raises:
            IndexLockedError: another process writes to the index.
            WrongEncoderError: the index was built with another encoder.
        """
        rest = iter(documents)
        first = list(islice(rest, SAMPLE))
        report = WriteReport()
        if first:
            with self._session(first) as session:
                _write_all(chain(first, rest), session, report)
                if report.written:
                    session.target.store.optimize()
        return report

    def remove(self, ids: Sequence[str]) -> list[str]:
        """Remove documents; an id that is not there is no error.

        Returns:
            The ids that were there, in the order given.
        """
        if not ids or live_version(self._project.paths.indexes) is None:
            return []
        with self._session(()) as session:
            there = [id_ for id_ in dict.fromkeys(ids) if session.records.find(id_) is not None]
            session.records.remove(there)
            session.writer.sweep()
        return there

    @contextmanager
    def _session(self, sample: Sequence[Document]) -> Iterator[_Session]:
        paths, settings = self._project.paths, self._project.settings
        shared = bool(settings.server.url)
        dense = self._project.encoder_of_live()
        with self._turn, ExitStack() as opened:
            paths.make_state()
            if shared and live_version(paths.indexes) is None:
                with hold_lock(paths.ingest_lock, what=INGESTION):
                    self._open(sample, dense).close()
            opened.enter_context(hold_lock(paths.ingest_lock, what=INGESTION, shared=shared))
            index = opened.enter_context(self._open(sample, dense))
            catalog = opened.enter_context(Catalog(paths.catalog_url(settings.catalog.url)))
            check_catalog(catalog, index)
            version = index.version.name
            lease = opened.enter_context(_taken(catalog, version)) if shared else None
            records = catalog.source(SOURCE, version=version, lease=lease)
            target = target_of(index, dense)
            yield _Session(target, records, point_writer(target, records))

    def _open(self, sample: Sequence[Document], dense: DenseEncoder | None) -> OpenIndex:
        sources: list[Connector] = [_Given(sample)]
        paths, settings = self._project.paths, self._project.settings
        return open_version(paths, settings, dense=dense, connectors=sources, rebuild=False)


class _Given:
    """Documents as a source, to measure a new index by."""

    name = SOURCE

    def __init__(self, documents: Sequence[Document]) -> None:
        self._documents = documents

    def changes(self, cursor: str | None) -> Iterator[Change]:
        del cursor
        for document in self._documents:
            yield Upsert(document.id, None, partial(_itself, document))


def _itself(document: Document) -> Document:
    return document


def _taken(catalog: Catalog, version: str) -> Lease:
    lease = catalog.leases().take(SOURCE, version=version)
    if lease is None:
        raise IndexLockedError(
            f"another process writes documents of {SOURCE!r}\nhint: try again when it has ended"
        )
    return lease


def _write_all(documents: Iterable[Document], session: _Session, report: WriteReport) -> None:
    target, records = session.target, session.records
    recipe = recipe_of(target)
    batches = batches_of(target, records, writer=session.writer)
    for document in documents:
        if document.id in batches:
            _write(batches, report)
        hashes = document_hashes(document, protected=False)
        decision = decide(records.find(document.id), hashes, recipe=recipe)
        if decision.action is Action.KEEP:
            report.kept += 1
        else:
            batches.add(decision.action, _whole(document, hashes, target.tokenizer))
        if batches.is_full:
            _write(batches, report)
    _write(batches, report)


def _write(batches: Batches, report: WriteReport) -> None:
    result = batches.write(cursor=None)
    report.written += result.done.total()
    report.failed.update({failed.document_id: failed.reason for failed in result.failed})


def _whole(document: Document, hashes: DocumentHashes, tokenizer: TextTokenizer) -> IndexedDocument:
    """Take a document as its only chunk."""
    chunk = Chunk(
        ordinal=0,
        text=document.text,
        start=0,
        end=len(document.text),
        page=None,
        heading_path=(),
        context="",
        token_count=len(tokenizer.token_spans(document.text)),
    )
    return IndexedDocument(
        source=SOURCE,
        document=document,
        revision=None,
        protected=False,
        content_hash=hashes.content,
        metadata_hash=hashes.metadata,
        access_hash=hashes.access,
        chunks=(chunk,),
    )
