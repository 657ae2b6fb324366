"""What is counted is kept counted: people, closed cases by day, evaluations by evaluator, and who waits for one.

Triggers keep the tallies, for an older version of the service may still write: whoever writes, they are right.
"""

from alembic import op

revision = "status_0005"
down_revision = "status_0004"
branch_labels = None
depends_on = None

CLOSED = """
SELECT organisation, (accepted_at AT TIME ZONE 'UTC')::date AS day, kind, reason, protected, cancelled, {sign} AS n
FROM {rows} WHERE closed_at IS NOT NULL
"""
ADD_CASES = """
INSERT INTO case_tally AS t (organisation, day, kind, reason, protected, cancelled, count)
SELECT organisation, day, kind, reason, protected, cancelled, sum(n) FROM ({changes}) c
GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(n) <> 0 ORDER BY 1, 2, 3, 4, 5, 6
ON CONFLICT (organisation, day, kind, reason, protected, cancelled) DO UPDATE SET count = t.count + excluded.count
"""
ADD_EVALUATIONS = """
INSERT INTO evaluation_tally AS t (organisation, service, target, count)
SELECT organisation, service, target, {sign} * count(*) FROM {rows} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
ON CONFLICT (organisation, service, target) DO UPDATE SET count = t.count + excluded.count
"""
ADD_PERSONS = """
INSERT INTO person_tally AS t (organisation, count)
SELECT organisation, {sign} * count(*) FROM {rows} GROUP BY 1 ORDER BY 1
ON CONFLICT (organisation) DO UPDATE SET count = t.count + excluded.count
"""
LATE = """
FROM evaluation e LEFT JOIN person p ON p.organisation = e.organisation AND p.person = e.person
WHERE (p.person IS NULL OR (e.record_generation, e.revision) < (p.generation, p.revision))
"""


def _function(name: str, body: str) -> str:
    return (
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$"
        f" BEGIN {body} RETURN NULL; END $$"
    )


def upgrade() -> None:
    """Begin to count, and count what is there."""
    came, went = CLOSED.format(sign=1, rows="came"), CLOSED.format(sign=-1, rows="went")
    op.execute(
        """
        CREATE TABLE case_tally (
            organisation text NOT NULL,
            day date NOT NULL,
            kind text NOT NULL,
            reason text NOT NULL,
            protected boolean NOT NULL,
            cancelled boolean NOT NULL,
            count bigint NOT NULL,
            PRIMARY KEY (organisation, day, kind, reason, protected, cancelled)
        );
        COMMENT ON TABLE case_tally IS 'closed cases by the UTC day on which they were accepted';
        CREATE TABLE person_tally (
            organisation text PRIMARY KEY,
            count bigint NOT NULL
        );
        CREATE TABLE evaluation_tally (
            organisation text NOT NULL,
            service text NOT NULL,
            target text NOT NULL,
            count bigint NOT NULL,
            PRIMARY KEY (organisation, service, target)
        );
        COMMENT ON TABLE evaluation_tally IS 'how many people have an evaluation';
        CREATE TABLE behind (
            organisation text NOT NULL,
            person uuid NOT NULL,
            PRIMARY KEY (organisation, person)
        );
        COMMENT ON TABLE behind IS 'people with an evaluation of an older revision than their newest, or not known yet';
        """
    )
    op.execute(_function("tally_new_cases", ADD_CASES.format(changes=came) + ";"))
    op.execute(_function("tally_changed_cases", ADD_CASES.format(changes=f"{came} UNION ALL {went}") + ";"))
    op.execute(_function("tally_gone_cases", ADD_CASES.format(changes=went) + ";"))
    op.execute(_function("tally_new_persons", ADD_PERSONS.format(sign=1, rows="came") + ";"))
    op.execute(_function("tally_gone_persons", ADD_PERSONS.format(sign=-1, rows="went") + ";"))
    op.execute(_function("tally_new_evaluations", ADD_EVALUATIONS.format(sign=1, rows="came") + ";"))
    op.execute(_function("tally_gone_evaluations", ADD_EVALUATIONS.format(sign=-1, rows="went") + ";"))
    op.execute(
        _function(
            "note_who_is_behind",
            f"""
            WITH touched AS (
                SELECT n.organisation, n.person,
                       EXISTS (SELECT {LATE} AND e.organisation = n.organisation AND e.person = n.person) AS late
                FROM (SELECT DISTINCT organisation, person FROM came) n),
            caught_up AS (
                DELETE FROM behind b USING touched t
                WHERE b.organisation = t.organisation AND b.person = t.person AND NOT t.late)
            INSERT INTO behind SELECT organisation, person FROM touched WHERE late ORDER BY 1, 2 ON CONFLICT DO NOTHING;
            """,
        )
    )
    op.execute(
        """
        CREATE TRIGGER tally_new AFTER INSERT ON "case" REFERENCING NEW TABLE AS came
            FOR EACH STATEMENT EXECUTE FUNCTION tally_new_cases();
        CREATE TRIGGER tally_changed AFTER UPDATE ON "case" REFERENCING NEW TABLE AS came OLD TABLE AS went
            FOR EACH STATEMENT EXECUTE FUNCTION tally_changed_cases();
        CREATE TRIGGER tally_gone AFTER DELETE ON "case" REFERENCING OLD TABLE AS went
            FOR EACH STATEMENT EXECUTE FUNCTION tally_gone_cases();
        CREATE TRIGGER tally_new AFTER INSERT ON person REFERENCING NEW TABLE AS came
            FOR EACH STATEMENT EXECUTE FUNCTION tally_new_persons();
        CREATE TRIGGER tally_gone AFTER DELETE ON person REFERENCING OLD TABLE AS went
            FOR EACH STATEMENT EXECUTE FUNCTION tally_gone_persons();
        CREATE TRIGGER tally_new AFTER INSERT ON evaluation REFERENCING NEW TABLE AS came
            FOR EACH STATEMENT EXECUTE FUNCTION tally_new_evaluations();
        CREATE TRIGGER tally_gone AFTER DELETE ON evaluation REFERENCING OLD TABLE AS went
            FOR EACH STATEMENT EXECUTE FUNCTION tally_gone_evaluations();
        CREATE TRIGGER behind_new AFTER INSERT ON evaluation REFERENCING NEW TABLE AS came
            FOR EACH STATEMENT EXECUTE FUNCTION note_who_is_behind();
        CREATE TRIGGER behind_changed AFTER UPDATE ON evaluation REFERENCING NEW TABLE AS came
            FOR EACH STATEMENT EXECUTE FUNCTION note_who_is_behind();
        CREATE TRIGGER behind_new AFTER INSERT ON person REFERENCING NEW TABLE AS came
            FOR EACH STATEMENT EXECUTE FUNCTION note_who_is_behind();
        CREATE TRIGGER behind_changed AFTER UPDATE ON person REFERENCING NEW TABLE AS came
            FOR EACH STATEMENT EXECUTE FUNCTION note_who_is_behind();
        """
    )
    op.execute(ADD_CASES.format(changes=CLOSED.format(sign=1, rows='"case"')))
    op.execute(ADD_PERSONS.format(sign=1, rows="person"))
    op.execute(ADD_EVALUATIONS.format(sign=1, rows="evaluation"))
    op.execute(f"INSERT INTO behind SELECT DISTINCT e.organisation, e.person {LATE}")
