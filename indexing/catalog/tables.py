"""The catalog's tables; every row belongs to one index version."""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

SCHEMA_VERSION = 2
"""Raised with every change of a table, together with a script in `indexing/catalog/migrations`."""

metadata = MetaData()

schema = Table("catalog_schema", metadata, Column("version", Integer, primary_key=True))

documents = Table(
    "documents",
    metadata,
    Column("version", String, primary_key=True),
    Column("source", String, primary_key=True),
    Column("document_id", String, primary_key=True),
    # What is indexed; all null, and no chunks, where nothing is.
    Column("content_hash", String),
    Column("metadata_hash", String),  # null also while what is stored of it is being rewritten
    Column("access_hash", String),
    # Of what made its points; null where that is not noted: that of the index version.
    Column("chunker_hash", String),
    Column("encoder_hash", String),
    Column("revision", String),
    Column("protected", Boolean, nullable=False),
    Column("title", Text),
    Column("uri", Text),
    Column("access", JSON(none_as_null=True)),
    Column("metadata", JSON(none_as_null=True)),
    # What failed last; null where nothing did.
    Column("failure", Text),
    Column("failed_revision", String),
    Column("attempts", Integer, nullable=False),
    Column("updated", String, nullable=False),
)

chunks = Table(
    "chunks",
    metadata,
    Column("version", String, primary_key=True),
    Column("source", String, primary_key=True),
    Column("document_id", String, primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("point_id", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("page", Integer),
    Column("heading_path", JSON, nullable=False),
    Column("context", Text, nullable=False),
    Column("token_count", Integer, nullable=False),
    Column("text_hash", String),  # of what was encoded
    ForeignKeyConstraint(
        ["version", "source", "document_id"],
        ["documents.version", "documents.source", "documents.document_id"],
        ondelete="CASCADE",
    ),
    Index("chunks_by_point", "version", "point_id"),
    Index("chunks_by_text", "version", "text_hash"),
)

CHUNK_FIELDS = (
    "ordinal",
    "text",
    "start",
    "end",
    "page",
    "heading_path",
    "context",
    "token_count",
)

# Points that may be in the store without a chunk: about to be written, or about to be deleted.
loose_points = Table(
    "loose_points",
    metadata,
    Column("version", String, primary_key=True),
    Column("source", String, primary_key=True),
    Column("point_id", String, primary_key=True),
)

cursors = Table(
    "cursors",
    metadata,
    Column("version", String, primary_key=True),
    Column("source", String, primary_key=True),
    Column("cursor", Text, nullable=False),
)

# Who is syncing a source where several workers share a catalog.
leases = Table(
    "leases",
    metadata,
    Column("version", String, primary_key=True),
    Column("source", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("heartbeat", Float, nullable=False),  # seconds since 1970, UTC
    Column("expires", Float, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("version", String, nullable=False),
    Column("source", String, nullable=False),
    Column("started", String, nullable=False),
    Column("finished", String),
    Column("status", String, nullable=False),
    Column("counts", JSON, nullable=False),
)
