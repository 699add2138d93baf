"""The first schema: documents, chunks, loose points, cursors and runs of index versions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    schema = op.create_table("catalog_schema", sa.Column("version", sa.Integer, primary_key=True))
    op.bulk_insert(schema, [{"version": 1}])
    op.create_table(
        "documents",
        sa.Column("version", sa.String, primary_key=True),
        sa.Column("source", sa.String, primary_key=True),
        sa.Column("document_id", sa.String, primary_key=True),
        sa.Column("content_hash", sa.String),
        sa.Column("metadata_hash", sa.String),
        sa.Column("revision", sa.String),
        sa.Column("protected", sa.Boolean, nullable=False),
        sa.Column("title", sa.Text),
        sa.Column("uri", sa.Text),
        sa.Column("access", sa.JSON(none_as_null=True)),
        sa.Column("metadata", sa.JSON(none_as_null=True)),
        sa.Column("failure", sa.Text),
        sa.Column("failed_revision", sa.String),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("updated", sa.String, nullable=False),
    )
    op.create_table(
        "chunks",
        sa.Column("version", sa.String, primary_key=True),
        sa.Column("source", sa.String, primary_key=True),
        sa.Column("document_id", sa.String, primary_key=True),
        sa.Column("ordinal", sa.Integer, primary_key=True),
        sa.Column("point_id", sa.String, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("start", sa.Integer, nullable=False),
        sa.Column("end", sa.Integer, nullable=False),
        sa.Column("page", sa.Integer),
        sa.Column("heading_path", sa.JSON, nullable=False),
        sa.Column("context", sa.Text, nullable=False),
        sa.Column("token_count", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(
            ["version", "source", "document_id"],
            ["documents.version", "documents.source", "documents.document_id"],
            ondelete="CASCADE",
        ),
    )
    op.create_index("chunks_by_point", "chunks", ["version", "point_id"])
    op.create_table(
        "loose_points",
        sa.Column("version", sa.String, primary_key=True),
        sa.Column("point_id", sa.String, primary_key=True),
    )
    op.create_table(
        "cursors",
        sa.Column("version", sa.String, primary_key=True),
        sa.Column("source", sa.String, primary_key=True),
        sa.Column("cursor", sa.Text, nullable=False),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("version", sa.String, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("started", sa.String, nullable=False),
        sa.Column("finished", sa.String),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("counts", sa.JSON, nullable=False),
    )
