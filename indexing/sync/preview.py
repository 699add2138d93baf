"""What a sync would do, and a first look at a source; nothing is written."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from time import monotonic

from connectors.base import Change, Connector, Failed, Upsert
from encoder.base import TextTokenizer
from indexing.catalog.catalog import Catalog
from indexing.catalog.source import SourceRecords
from indexing.chunks.chunking import Chunk, ChunkSettings, chunk_document
from indexing.errors import DeleteGuardError
from indexing.identity import printable
from indexing.plan import Action, Decision, check_deletes
from indexing.records import FailedDocument
from indexing.sync.options import SyncOptions
from indexing.sync.presence import Presence
from indexing.sync.reading import consider, ignored_by
from indexing.sync.report import SyncReport


@dataclass(frozen=True, slots=True)
class Preview:
    """What a sync would do."""

    report: SyncReport
    """``chunks_embedded`` is 0: nothing is cut or encoded."""

    refusal: str | None
    """Why its deletions would be refused; None: they would not be."""


def preview(
    connector: Connector, *, catalog: Catalog, version: str, options: SyncOptions | None = None
) -> Preview:
    """Say what a sync would do, by reading what it would read.

    Args:
        connector: The source.
        catalog: What is known of the version.
        version: The index version that a sync would write to.
        options: None: the defaults.

    Returns:
        How many documents would be added, changed, deleted and so on.
    """
    options = options or SyncOptions()
    records = catalog.source(connector.name, version=version)
    began = monotonic()
    decisions: dict[str, Decision] = {}
    with Presence() as presence:
        for change in connector.changes(None if options.retry_failed else records.cursor()):
            indexed = _decide(change, records, options=options, decisions=decisions)
            presence.note(change, indexed=indexed)
        deleted = lost = 0
        for deletion in presence.deletes(records.known_documents()):
            deleted += deletion.indexed
            lost += deletion.lost
    done = Counter(decision.action for decision in decisions.values())
    report = SyncReport(
        added=done[Action.ADD],
        changed=done[Action.CHANGE],
        metadata_only=done[Action.METADATA_ONLY],
        deleted=deleted,
        kept=done[Action.KEEP],
        failed=tuple(
            FailedDocument(connector.name, document_id, decision.reason)
            for document_id, decision in decisions.items()
            if decision.action is Action.SET_ASIDE
        ),
        seconds=monotonic() - began,
        ignored=ignored_by(connector),
    )
    try:
        check_deletes(
            lost,
            indexed=records.count_indexed(),
            max_fraction=options.max_delete_fraction,
            source=connector.name,
        )
    except DeleteGuardError as error:
        return Preview(report, str(error))
    return Preview(report, None)


def sample_chunks(
    connector: Connector, *, tokenizer: TextTokenizer, settings: ChunkSettings, limit: int = 2000
) -> list[Chunk]:
    """Cut the first documents of a source, for averages that must be known before indexing.

    Documents that can't be read are passed over; a sync names them.

    Args:
        connector: The source.
        tokenizer: As for the sync.
        settings: As for the sync.
        limit: Most chunks to return.

    Returns:
        The first chunks of the source.
    """
    return list(islice(_chunks(connector, tokenizer, settings), limit))


def _chunks(
    connector: Connector, tokenizer: TextTokenizer, settings: ChunkSettings
) -> Iterator[Chunk]:
    for change in connector.changes(None):
        if not isinstance(change, Upsert):
            continue
        read = consider(change, None, protected=False, retry_failed=True).read
        with suppress(ValueError):  # what can't be cut is set aside, with its reason, by a sync
            chunks = read and chunk_document(read.document, tokenizer=tokenizer, settings=settings)
            yield from chunks or []


def _decide(
    change: Change,
    records: SourceRecords,
    *,
    options: SyncOptions,
    decisions: dict[str, Decision],
) -> bool:
    """Note the decision about a change; tell whether its document is indexed, where that counts."""
    match change:
        case Failed(document_id, reason):
            decisions[printable(document_id)] = Decision(Action.SET_ASIDE, printable(reason))
        case Upsert(document_id):
            known = records.find(printable(document_id))
            outcome = consider(
                change, known, protected=options.protected, retry_failed=options.retry_failed
            )
            decisions[printable(document_id)] = outcome.decision
            return known is not None and known.content_hash is not None
    return True
