"""Alembic environment: one connection handed in by deploy.migrate, one version table per schema."""

from alembic import context

connection = context.config.attributes["connection"]
schema = context.config.attributes["schema"]

# each migration is one that stands: a later one that has to wait does not take it back
context.configure(
    connection=connection,
    version_table="schema_version",
    version_table_schema=schema,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
