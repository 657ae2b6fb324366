"""How many evaluations are not settled is kept counted, by the instant at which they cease to be.

Triggers keep this tally as they keep the others (status_0005): whoever writes, it is right.
"""

from alembic import op

revision = "status_0008"
down_revision = "status_0006"
branch_labels = None
depends_on = None

OLD_RECORD = "(e.record_generation, e.revision) < (p.generation, p.revision)"
EVALUATED = f"""
SELECT e.organisation, e.service, e.target, {{sign}} AS n,
       CASE WHEN e.blocked OR p.person IS NULL OR {OLD_RECORD} THEN '-infinity'
            ELSE least(e.blocked_from, e.next_due) END AS since
"""
OF_EVALUATIONS = EVALUATED + "FROM {rows} e LEFT JOIN person p ON p.organisation = e.organisation AND p.person = e.person"
OF_PEOPLE = EVALUATED + "FROM {rows} p JOIN evaluation e ON e.organisation = p.organisation AND e.person = p.person"
OF_NOBODY = """
SELECT e.organisation, e.service, e.target, {sign} AS n, '-infinity'::timestamptz AS since
FROM {rows} p JOIN evaluation e ON e.organisation = p.organisation AND e.person = p.person
"""
REVISED = """(
    SELECT {rows}.* FROM came JOIN went ON went.organisation = came.organisation AND went.person = came.person
    WHERE (came.generation, came.revision) <> (went.generation, went.revision))
"""
"""Most changes of a person are none of the record, and need no look at evaluations."""
ADD = """
INSERT INTO unsettled_tally AS t (organisation, since, service, target, count)
SELECT organisation, since, service, target, sum(n) FROM ({changes}) c WHERE since IS NOT NULL
GROUP BY 1, 2, 3, 4 HAVING sum(n) <> 0 ORDER BY 1, 2, 3, 4
ON CONFLICT (organisation, since, service, target) DO UPDATE SET count = t.count + excluded.count
"""


def _function(name: str, *changes: str) -> None:
    """Make the function of a trigger; what is counted down to nothing goes, or past instants would gather for ever."""
    op.execute(
        f"""
        CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
        DECLARE emptied unsettled_tally[];
        BEGIN
            WITH counted AS ({ADD.format(changes=" UNION ALL ".join(changes))} RETURNING t.*)
            SELECT array_agg(c::unsettled_tally) INTO emptied FROM counted c WHERE c.count = 0;
            IF emptied IS NOT NULL THEN
                DELETE FROM unsettled_tally t USING unnest(emptied) e
                WHERE (t.organisation, t.since, t.service, t.target) = (e.organisation, e.since, e.service, e.target)
                AND t.count = 0;
            END IF;
            RETURN NULL;
        END $$
        """
    )


def upgrade() -> None:
    """Begin to count, count what is there, and end what the tally does better.

    Others read meanwhile; who writes waits for the count. Only the last statements keep readers out, for a moment.
    """
    op.execute(
        """
        CREATE TABLE unsettled_tally (
            organisation text NOT NULL,
            since timestamptz NOT NULL,
            service text NOT NULL,
            target text NOT NULL,
            count bigint NOT NULL,
            PRIMARY KEY (organisation, since, service, target)
        );
        COMMENT ON TABLE unsettled_tally IS 'evaluations that are not settled from an instant on: -infinity, when a'
            ' step is open or the record is an older one or not known; else the next due time';
        """
    )
    came, went = {"sign": 1, "rows": "came"}, {"sign": -1, "rows": "went"}
    _function("tally_new_unsettled", OF_EVALUATIONS.format(**came))
    _function("tally_changed_unsettled", OF_EVALUATIONS.format(**came), OF_EVALUATIONS.format(**went))
    _function("tally_gone_unsettled", OF_EVALUATIONS.format(**went))
    _function("tally_known_unsettled", OF_PEOPLE.format(**came), OF_NOBODY.format(sign=-1, rows="came"))
    _function(
        "tally_revised_unsettled",
        *(OF_PEOPLE.format(sign=side["sign"], rows=REVISED.format(**side)) for side in (came, went)),
    )
    _function("tally_unknown_unsettled", OF_NOBODY.format(sign=1, rows="went"), OF_PEOPLE.format(**went))
    op.execute(
        """
        CREATE TRIGGER unsettled_new AFTER INSERT ON evaluation REFERENCING NEW TABLE AS came
            FOR EACH STATEMENT EXECUTE FUNCTION tally_new_unsettled();
        CREATE TRIGGER unsettled_changed AFTER UPDATE ON evaluation REFERENCING NEW TABLE AS came OLD TABLE AS went
            FOR EACH STATEMENT EXECUTE FUNCTION tally_changed_unsettled();
        CREATE TRIGGER unsettled_gone AFTER DELETE ON evaluation REFERENCING OLD TABLE AS went
            FOR EACH STATEMENT EXECUTE FUNCTION tally_gone_unsettled();
        CREATE TRIGGER unsettled_new AFTER INSERT ON person REFERENCING NEW TABLE AS came
            FOR EACH STATEMENT EXECUTE FUNCTION tally_known_unsettled();
        CREATE TRIGGER unsettled_changed AFTER UPDATE ON person REFERENCING NEW TABLE AS came OLD TABLE AS went
            FOR EACH STATEMENT EXECUTE FUNCTION tally_revised_unsettled();
        CREATE TRIGGER unsettled_gone AFTER DELETE ON person REFERENCING OLD TABLE AS went
            FOR EACH STATEMENT EXECUTE FUNCTION tally_unknown_unsettled();
        """
    )
    op.execute(ADD.format(changes=OF_EVALUATIONS.format(sign=1, rows="evaluation")))
    op.execute(
        f"""
        DROP TRIGGER behind_new ON evaluation;
        DROP TRIGGER behind_changed ON evaluation;
        DROP TRIGGER behind_new ON person;
        DROP TRIGGER behind_changed ON person;
        DROP FUNCTION note_who_is_behind();
        DROP TABLE behind;
        DROP INDEX evaluation_blocked;
        DROP INDEX evaluation_blocked_from;
        CREATE VIEW behind AS SELECT DISTINCT e.organisation, e.person
            FROM evaluation e LEFT JOIN person p ON p.organisation = e.organisation AND p.person = e.person
            WHERE p.person IS NULL OR {OLD_RECORD};
        COMMENT ON VIEW behind IS 'for a version of the service that knows no tally of what is not settled';
        """
    )
