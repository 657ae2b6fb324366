"""Whose staff somebody is: units and managers of a person's employments with the day until which each holds.

Triggers keep them, for an older version of the service may still write: whoever writes, they are right.
"""

from uuid import UUID

from alembic import op
from sqlalchemy import text

revision = "status_0007"
down_revision = "status_0006"
branch_labels = None
depends_on = None

AT_ONCE = 1_000
"""How many people are filled in at a time: whoever writes to them waits for that at most."""

TABLE = """
CREATE TABLE IF NOT EXISTS placement (
    organisation text NOT NULL,
    person uuid NOT NULL,
    ordinal bigint NOT NULL,
    unit text NOT NULL,
    manager uuid,
    until date NOT NULL,
    PRIMARY KEY (organisation, person, ordinal)
);
COMMENT ON COLUMN placement.until IS 'the last day of assignment and employment; infinity until further notice';
CREATE INDEX IF NOT EXISTS placement_unit ON placement (organisation, unit) INCLUDE (person, until);
CREATE INDEX IF NOT EXISTS placement_manager ON placement (organisation, manager) INCLUDE (person, until)
    WHERE manager IS NOT NULL;
"""

# An employment lasts while it lingers (a gap that is bridged, a pool), and ends at `endsAt` when that is said; the
# instant's day in UTC is the local one or the next to it, which is near enough for who may follow a leaver. Of an
# employment that outlasts all its assignments the last one counts on, as `Employment.assignment` in contracts says.
PLACEMENTS = """
CREATE OR REPLACE FUNCTION placements(core jsonb)
RETURNS TABLE (ordinal bigint, unit text, manager uuid, until date) LANGUAGE sql STABLE AS $$
    SELECT row_number() OVER (ORDER BY p.unit, p.manager), p.unit, p.manager, max(p.until)
    FROM (
        SELECT a.unit, a.manager, a."validFrom", e.until AS employed,
               least(CASE WHEN bool_and(a."validTo" IS NOT NULL) OVER whole AND row_number() OVER latest = 1
                          THEN 'infinity' ELSE coalesce(a."validTo", 'infinity') END, e.until) AS until
        FROM (
            SELECT number, assignments, greatest(
                least(coalesce("validTo", 'infinity'), ("endsAt" AT TIME ZONE 'UTC')::date + 1),
                ("lingersUntil" AT TIME ZONE 'UTC')::date) AS until
            FROM ROWS FROM (jsonb_to_recordset(core -> 'employments') AS (
                "validTo" date, "endsAt" timestamptz, "lingersUntil" timestamptz, cancelled boolean, assignments jsonb))
                WITH ORDINALITY AS o ("validTo", "endsAt", "lingersUntil", cancelled, assignments, number)
            WHERE NOT coalesce(cancelled, false)
        ) e
        CROSS JOIN LATERAL jsonb_to_recordset(e.assignments)
            AS a (unit text, manager uuid, "validFrom" date, "validTo" date)
        WINDOW whole AS (PARTITION BY e.number),
               latest AS (PARTITION BY e.number ORDER BY a."validFrom" DESC, a."validTo" DESC NULLS FIRST)
    ) p
    WHERE p."validFrom" <= p.employed
    GROUP BY p.unit, p.manager
$$
"""
PLACE = """
INSERT INTO placement (organisation, person, ordinal, unit, manager, until)
SELECT c.organisation, c.person, l.ordinal, l.unit, l.manager, l.until
FROM {rows} c CROSS JOIN LATERAL placements(c.core) l
"""
CHANGED = """(
    SELECT n.organisation, n.person, n.core FROM came n JOIN went o USING (organisation, person)
    WHERE n.core -> 'employments' IS DISTINCT FROM o.core -> 'employments')
"""
FORGET = """
DELETE FROM placement l USING {rows} c WHERE l.organisation = c.organisation AND l.person = c.person
"""
FILL = f"""
WITH part AS MATERIALIZED (
    SELECT organisation, person, core FROM person WHERE (organisation, person) > (:organisation, :person)
    ORDER BY organisation, person LIMIT {AT_ONCE} FOR NO KEY UPDATE),
filled AS ({PLACE.format(rows="part")} ON CONFLICT DO NOTHING)
SELECT organisation, person FROM part ORDER BY organisation DESC, person DESC LIMIT 1
"""
"""A person who is locked is placed by this, or was placed by the trigger: as the newest record says in both cases."""


def _function(name: str, body: str) -> str:
    return (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$"
        f" BEGIN {body} RETURN NULL; END $$"
    )


def upgrade() -> None:
    """Begin to keep them, and fill in who is there while others read and write; safe to begin again."""
    op.execute(TABLE)
    op.execute(PLACEMENTS)
    op.execute(_function("place_new_persons", PLACE.format(rows="came") + ";"))
    op.execute(
        _function(
            "place_changed_persons", f"{FORGET.format(rows=CHANGED)}; {PLACE.format(rows=CHANGED)};"
        )
    )
    op.execute(_function("forget_placements", FORGET.format(rows="went") + ";"))
    op.execute(
        """
        CREATE OR REPLACE TRIGGER place_new AFTER INSERT ON person REFERENCING NEW TABLE AS came
            FOR EACH STATEMENT EXECUTE FUNCTION place_new_persons();
        CREATE OR REPLACE TRIGGER place_changed AFTER UPDATE ON person REFERENCING NEW TABLE AS came OLD TABLE AS went
            FOR EACH STATEMENT EXECUTE FUNCTION place_changed_persons();
        CREATE OR REPLACE TRIGGER place_gone AFTER DELETE ON person REFERENCING OLD TABLE AS went
            FOR EACH STATEMENT EXECUTE FUNCTION forget_placements();
        """
    )
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        for name, parent in (("unit_manager", "manager"), ("unit_parent", "parent")):
            # what an earlier try left is not valid
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON unit (organisation, (record ->> '{parent}'))")
        organisation, person = "", UUID(int=0)
        while filled := op.get_bind().execute(text(FILL), {"organisation": organisation, "person": person}).one_or_none():
            organisation, person = filled
        op.execute("SET lock_timeout = '3s'")
