"""People are listed as Swedish sorts: å, ä and ö after z."""

from alembic import op

revision = "status_0004"
down_revision = "status_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Compare by code point, whatever the database's own collation, and key those who are known anew.

    Letters that are neither ASCII nor å, ä, ö keep their place until the person's next revision.
    """
    op.execute(
        """
        ALTER TABLE person ALTER COLUMN sort_name TYPE text COLLATE "C";
        UPDATE person SET sort_name = translate(
            lower((core #>> '{name,family}') || ' ' || coalesce(core #>> '{name,preferred}', core #>> '{name,given}')),
            'åäæöøéèëêüáàâçíñóúý', '{||}}eeeeuaaacinouy')
        WHERE core #>> '{name,family}' IS NOT NULL;
        """
    )
