"""Run by Alembic: the connection it was given, and the tables as they should be."""

from alembic import context

from daycast.adapters.store.revisions import TABLE
from daycast.adapters.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=TABLE,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
