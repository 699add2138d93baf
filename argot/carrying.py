"""Documents that programs put into an index, carried into a version that is rebuilt of the sources.

No source holds them, so a rebuild would lose them.
"""

import logging

from argot.settings import HANDED_OVER
from indexing.catalog.catalog import Catalog
from indexing.catalog.source import SourceRecords
from indexing.identity import Recipe, digest
from indexing.plan import Action
from indexing.records import IndexedDocument
from indexing.sync.batch import Batches
from indexing.sync.options import SyncOptions
from indexing.sync.target import Target
from indexing.sync.writing import PointWriter

logger = logging.getLogger(__name__)

WHOLE = digest(["whole"])
"""Names the chunker of documents that are one chunk each."""


def recipe_of(target: Target) -> Recipe:
    """Say what makes points of whole documents."""
    return Recipe(chunker=WHOLE, encoder=target.recipe.encoder)


def point_writer(target: Target, records: SourceRecords) -> PointWriter:
    """Make what writes such documents, and clean up what one that was killed left behind."""
    tokens = SyncOptions().batch_tokens
    writer = PointWriter(target, records, slice_tokens=tokens, on_encoded=_note)
    writer.sweep()
    return writer


def batches_of(target: Target, records: SourceRecords, *, writer: PointWriter) -> Batches:
    """Collect such documents until they are written together."""
    return Batches(writer, records, tokens=SyncOptions().batch_tokens, recipe=recipe_of(target))


def carry_over(catalog: Catalog, *, before: str, target: Target) -> None:
    """Write what programs put into version ``before`` into the target, encoded anew.

    What is there already, from a rebuild that was interrupted, is not encoded again.
    """
    source = catalog.source(HANDED_OVER, version=before)
    records = catalog.source(HANDED_OVER, version=target.version)
    writer = point_writer(target, records)
    batches = batches_of(target, records, writer=writer)
    for document_id, _ in source.known_documents():
        found = catalog.indexed_document(document_id, source=HANDED_OVER, version=before)
        if found is None or _is_there(found, records):
            continue
        batches.add(Action.ADD, found)
        if batches.is_full:
            batches.write(cursor=None)
    batches.write(cursor=None)


def _is_there(found: IndexedDocument, records: SourceRecords) -> bool:
    known = records.find(found.document.id)
    return known is not None and (
        (known.content_hash, known.metadata_hash, known.access_hash)
        == (found.content_hash, found.metadata_hash, found.access_hash)
    )


def _note(chunks: int) -> None:
    logger.debug("encoded %d documents", chunks)
