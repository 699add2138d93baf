"""Hashes of access lists, recipes and encoded texts; loose points by source; leases."""

import sqlalchemy as sa
from alembic import op

from indexing.identity import text_hash

revision = "0002"
down_revision = "0001"

CHUNKS_AT_A_TIME = 1000


def upgrade() -> None:
    """Change the tables."""
    for name in ("access_hash", "chunker_hash", "encoder_hash"):
        op.add_column("documents", sa.Column(name, sa.String))
    op.add_column("chunks", sa.Column("text_hash", sa.String))
    hash_texts(op.get_bind())
    op.create_index("chunks_by_text", "chunks", ["version", "text_hash"])
    part_loose_points(op.get_bind())
    op.create_table(
        "leases",
        sa.Column("version", sa.String, primary_key=True),
        sa.Column("source", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("heartbeat", sa.Float, nullable=False),
        sa.Column("expires", sa.Float, nullable=False),
    )
    op.execute("UPDATE catalog_schema SET version = 2")


def hash_texts(connection: sa.Connection) -> None:
    """Note of every chunk what was encoded, so that its vectors are found again."""
    names = ("version", "source", "document_id", "ordinal")
    key = tuple(sa.column(name, sa.Integer if name == "ordinal" else sa.String) for name in names)
    chunks = sa.table("chunks", *key, *map(sa.column, ("context", "text", "text_hash")))
    query = sa.select(*key, chunks.c.context, chunks.c.text).order_by(*key)
    put = sa.update(chunks).values(text_hash=sa.bindparam("digest"))
    put = put.where(*(chunks.c[name] == sa.bindparam(f"b_{name}") for name in names))
    last: tuple[object, ...] | None = None
    while True:
        page = query.where(sa.tuple_(*key) > sa.tuple_(*last)) if last else query
        rows = connection.execute(page.limit(CHUNKS_AT_A_TIME)).all()
        if not rows:
            return
        last = tuple(rows[-1][: len(names)])
        values = []
        for row in rows:
            encoded = "\n".join(part for part in (row.context, row.text) if part)
            of_row = {f"b_{name}": getattr(row, name) for name in names}
            values.append({**of_row, "digest": text_hash(encoded)})
        connection.execute(put, values)


def part_loose_points(connection: sa.Connection) -> None:
    """Give loose points a source; of those there are it is not known."""
    rows = connection.execute(sa.text("SELECT version, point_id FROM loose_points")).all()
    op.drop_table("loose_points")
    loose_points = op.create_table(
        "loose_points",
        sa.Column("version", sa.String, primary_key=True),
        sa.Column("source", sa.String, primary_key=True),
        sa.Column("point_id", sa.String, primary_key=True),
    )
    values = [{"version": row.version, "source": "", "point_id": row.point_id} for row in rows]
    op.bulk_insert(loose_points, values)
