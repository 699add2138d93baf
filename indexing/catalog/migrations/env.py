"""Run alembic's scripts in the transaction of the process that opens a catalog."""

from alembic import context

from indexing.catalog.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
