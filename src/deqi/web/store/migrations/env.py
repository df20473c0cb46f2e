"""Alembic's entry: runs the versions on the connection that `migrate` gives."""

from alembic import context

from deqi.web.store.tables import Row

context.configure(connection=context.config.attributes["connection"], target_metadata=Row.metadata,
                  transaction_per_migration=False)
with context.begin_transaction():
    context.run_migrations()
