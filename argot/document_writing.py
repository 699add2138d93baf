"""Documents that a program hands over, each stored whole, as one point of the live index.

They are a source of their own beside those of argot.toml, which no sync reads and so none prunes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice

from argot.carrying import batches_of, point_writer, recipe_of
from argot.document_access import (
    Unsaid,
    WriteRules,
    check_deletes_for,
    check_tenant,
    protection_of,
)
from argot.errors import DocumentRefusedError
from argot.ingestion import check_catalog
from argot.project import Project
from argot.settings import HANDED_OVER
from argot.version_choice import open_version, target_of
from argot.write_turns import WriteTurns
from connectors.base import Change, Connector, Upsert
from connectors.document import Document
from encoder.base import DenseEncoder, TextTokenizer
from indexing.catalog.catalog import Catalog
from indexing.catalog.leases import Lease
from indexing.catalog.source import SourceRecords
from indexing.chunks.chunking import Chunk
from indexing.errors import IndexLockedError
from indexing.identity import DocumentHashes, document_hashes
from indexing.plan import Action, KnownDocument, decide
from indexing.records import IndexedDocument
from indexing.sync.batch import Batches
from indexing.sync.target import Target
from indexing.sync.writing import PointWriter
from indexing.versions.collection import OpenIndex
from indexing.versions.description import live_version

SOURCE = HANDED_OVER

PUBLIC_HASH = document_hashes(Document(id="", text=""), protected=False).access
"""Of every document without an access list."""

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

    refused: set[str] = field(default_factory=set)
    """Those of the failed ones that may not be written as they are."""

    def refuse(self, document_id: str, reason: str) -> None:
        """Note a document that may not be written."""
        self.failed[document_id] = reason
        self.refused.add(document_id)


@dataclass(frozen=True, slots=True)
class _Session:
    """The live index, open for writing."""

    target: Target
    records: SourceRecords
    writer: PointWriter
    read: Callable[[str], IndexedDocument | None]
    """What is stored under an id."""


class DocumentWriter:
    """Writes documents into a project's live index, which is made if there is none.

    The index is open, and locked for other writers, only while a call lasts; they are waited for,
    as `WriteTurns` says. Readers go on. What a call wrote is found as soon as it returns.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self.turns = WriteTurns(project.paths.ingest_lock)

    def write(
        self,
        documents: Iterable[Document],
        *,
        unsaid: Unsaid = Unsaid.KEEP_OR_OPEN,
        tenant: str | None = None,
    ) -> WriteReport:
        """Write documents in the place of those with the same ids; of one id, the last counts.

        A text beyond what the encoder reads is found by its beginning, and by all of its words.

        Args:
            documents: With ``tenant_field`` in [access], each must name its tenant.
            unsaid: What becomes of those without an access list.
            tenant: Whose documents all of them must be; None: each its own's.

        Returns:
            What was done. A document is refused that names no tenant or another one, or has the id
            of one that belongs to another tenant.

        Raises:
            IndexLockedError: another writer does not end.
            WrongEncoderError: the index was built with another encoder.
            TenantError: a tenant is named where there are none.
        """
        check_tenant(tenant, field=self._tenant_field)
        rest = iter(documents)
        first = list(islice(rest, SAMPLE))
        report = WriteReport()
        if first:
            with self._session(first) as session:
                store = session.target.store
                rules = WriteRules(
                    unsaid=unsaid,
                    are_protected=protection_of(store),
                    tenant_field=self._tenant_field,
                    tenant=tenant,
                )
                _write_all(chain(first, rest), session, report, rules=rules)
                if report.written:
                    store.optimize()
        return report

    def remove(self, ids: Sequence[str], *, tenant: str | None = None) -> list[str]:
        """Remove documents; an id that is not there is no error.

        Args:
            ids: As they were put in.
            tenant: Whose they are, needed with ``tenant_field`` in [access]; those of others are
                not there.

        Returns:
            The ids that were there, in the order given.

        Raises:
            IndexLockedError: another writer does not end.
            TenantError: no tenant is named where there are tenants, or one where there are none.
        """
        check_deletes_for(tenant, field=self._tenant_field)
        if not ids or live_version(self._project.paths.indexes) is None:
            return []
        rules = WriteRules(tenant_field=self._tenant_field, tenant=tenant)
        with self._session(()) as session:
            there = [id_ for id_ in dict.fromkeys(ids) if _is_there(id_, session, rules)]
            session.records.remove(there)
            session.writer.sweep()
        return there

    @property
    def _tenant_field(self) -> str:
        return self._project.settings.access.tenant_field

    @contextmanager
    def _session(self, sample: Sequence[Document]) -> Iterator[_Session]:
        paths, settings = self._project.paths, self._project.settings
        shared = bool(settings.server.url)
        self._project.encoder_of_live()  # loaded while others write
        with self.turns.turn() as lock, ExitStack() as opened:
            paths.make_state()
            if shared and live_version(paths.indexes) is None:
                with lock(False):
                    self._open(sample, self._project.encoder_of_live()).close()
            opened.enter_context(lock(shared))
            dense = self._project.encoder_of_live()  # another version may have gone live meanwhile
            index = opened.enter_context(self._open(sample, dense))
            catalog = opened.enter_context(Catalog(paths.catalog_url(settings.catalog.url)))
            check_catalog(catalog, index)
            version = index.version.name
            catalog.note_live(version)
            lease = opened.enter_context(_taken(catalog, version)) if shared else None
            records = catalog.source(SOURCE, version=version, lease=lease)
            target = target_of(index, dense)
            read = partial(catalog.indexed_document, source=SOURCE, version=version)
            yield _Session(target, records, point_writer(target, records), read)

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


def _is_there(document_id: str, session: _Session, rules: WriteRules) -> bool:
    if not rules.tenant_field:
        return session.records.find(document_id) is not None
    stored = session.read(document_id)
    return stored is not None and rules.may_delete(stored.document)


def _write_all(
    documents: Iterable[Document], session: _Session, report: WriteReport, *, rules: WriteRules
) -> None:
    target, records = session.target, session.records
    recipe = recipe_of(target)
    batches = batches_of(target, records, writer=session.writer)
    for given in documents:
        if given.id in batches:
            _write(batches, report)
        known = records.find(given.id)
        try:
            document = rules.settled(given, _stored(given, known, session=session, rules=rules))
        except DocumentRefusedError as exc:
            report.refuse(given.id, str(exc))
            continue
        hashes = document_hashes(document, protected=False)
        decision = decide(known, hashes, recipe=recipe)
        if decision.action is Action.KEEP:
            report.kept += 1
        else:
            batches.add(decision.action, _whole(document, hashes, target.tokenizer))
        if batches.is_full:
            _write(batches, report)
    _write(batches, report)


def _stored(
    given: Document, known: KnownDocument | None, *, session: _Session, rules: WriteRules
) -> Document | None:
    """Read what is stored under the id of a document; what a public one says is known already."""
    if known is None or known.content_hash is None:
        return None
    if known.access_hash == PUBLIC_HASH and not rules.tenant_field:
        return replace(given, access=None)
    stored = session.read(given.id)
    return None if stored is None else stored.document


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
