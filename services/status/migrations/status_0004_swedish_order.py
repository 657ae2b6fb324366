"""People are listed as Swedish sorts: å, ä and ö after z."""

from alembic import op
from sqlalchemy import text

revision = "status_0004"
down_revision = "status_0003"
branch_labels = None
depends_on = None

PAGES = 100
"""How much of the table is keyed anew at a time: whoever writes to it waits for that at most."""


def upgrade() -> None:
    """Compare by code point, whatever the database's own collation, and key those who are known anew.

    Without its index the change of collation touches no row. Letters that are neither ASCII nor å, ä, ö keep their
    place until the person's next revision. Safe to begin again.
    """
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS person_listed")
        op.execute("SET lock_timeout = '3s'")
        op.execute('ALTER TABLE person ALTER COLUMN sort_name TYPE text COLLATE "C"')
        op.execute("SET lock_timeout = 0")
        size = text("SELECT pg_relation_size('person') / current_setting('block_size')::integer")
        for first in range(0, int(op.get_bind().execute(size).scalar_one()), PAGES):
            op.execute(
                "UPDATE person SET sort_name = translate(lower((core #>> '{name,family}') || ' ' ||"
                " coalesce(core #>> '{name,preferred}', core #>> '{name,given}')),"
                " 'åäæöøéèëêüáàâçíñóúý', '{||}}eeeeuaaacinouy')"
                " WHERE core #>> '{name,family}' IS NOT NULL"
                f" AND ctid >= '({first},0)' AND ctid < '({first + PAGES},0)'"
            )
        op.execute("CREATE INDEX CONCURRENTLY person_listed ON person (organisation, sort_name, person)")
        op.execute("SET lock_timeout = '3s'")
