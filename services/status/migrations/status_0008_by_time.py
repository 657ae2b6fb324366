"""What a clock changes is kept counted by the instant at which it will: open cases, evaluations that are not settled.

Closed cases are summed over all days, too.

Triggers keep these tallies as they keep the others (status_0005): whoever writes, they are right.
"""

from alembic import op

revision = "status_0008"
down_revision = "status_0007"
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
OPEN = """
SELECT organisation, (accepted_at AT TIME ZONE 'UTC')::date AS day, kind, reason, protected, stuck, {sign} AS n,
       CASE WHEN stuck OR cancelled THEN '-infinity' ELSE date_trunc('minute', effective_at, 'UTC') END AS since
FROM {rows} WHERE closed_at IS NULL AND (stuck OR retrying_since IS NULL)
"""
OF_DAYS = "SELECT organisation, kind, reason, protected, cancelled, {sign} * count AS n FROM {rows}"
ADD = """
INSERT INTO {table} AS t ({key}, count)
SELECT {key}, sum(n) FROM ({changes}) c {where} GROUP BY {key} HAVING sum(n) <> 0 ORDER BY {key}
ON CONFLICT ({key}) DO UPDATE SET count = t.count + excluded.count
"""
KEYS = {
    "unsettled_tally": "organisation, since, service, target",
    "closed_tally": "organisation, kind, reason, protected, cancelled",
    "open_tally": "organisation, day, kind, reason, protected, stuck, since",
}
CAME, WENT = {"sign": 1, "rows": "came"}, {"sign": -1, "rows": "went"}
INDEXES = {
    "case_retrying": '"case" (organisation) WHERE closed_at IS NULL AND NOT stuck AND retrying_since IS NOT NULL',
    "case_effective": (
        '"case" (organisation, effective_at)'
        " WHERE closed_at IS NULL AND NOT stuck AND retrying_since IS NULL AND NOT cancelled"
    ),
}


def _add(table: str, *changes: str) -> str:
    key = KEYS[table]
    # what is settled without end has no instant
    where = "WHERE since IS NOT NULL" if "since" in key else ""
    return ADD.format(table=table, key=key, where=where, changes=" UNION ALL ".join(changes))


def _function(name: str, table: str, *changes: str) -> None:
    """Make the function of a trigger; what is counted down to nothing goes, or past instants would gather for ever."""
    same = " AND ".join(f"t.{column} = e.{column}" for column in KEYS[table].split(", "))
    op.execute(
        f"""
        CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
        DECLARE emptied {table}[];
        BEGIN
            WITH counted AS ({_add(table, *changes)} RETURNING t.*)
            SELECT array_agg(c::{table}) INTO emptied FROM counted c WHERE c.count = 0;
            IF emptied IS NOT NULL THEN
                DELETE FROM {table} t USING unnest(emptied) e WHERE {same} AND t.count = 0;
            END IF;
            RETURN NULL;
        END $$
        """
    )


def _triggers(table: str, prefix: str, **functions: str) -> None:
    tables = {
        "new": "INSERT ON {} REFERENCING NEW TABLE AS came",
        "changed": "UPDATE ON {} REFERENCING NEW TABLE AS came OLD TABLE AS went",
        "gone": "DELETE ON {} REFERENCING OLD TABLE AS went",
    }
    for when, function in functions.items():
        op.execute(
            f"CREATE TRIGGER {prefix}_{when} AFTER {tables[when].format(table)}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
        )


def upgrade() -> None:
    """Begin to count, count what is there, and end what the tallies do better.

    Others read meanwhile; who writes waits for the count. Only the last statements keep readers out, for a moment.
    """
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        for name, definition in INDEXES.items():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {definition}")
        op.execute("SET lock_timeout = '3s'")
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
        CREATE TABLE closed_tally (
            organisation text NOT NULL,
            kind text NOT NULL,
            reason text NOT NULL,
            protected boolean NOT NULL,
            cancelled boolean NOT NULL,
            count bigint NOT NULL,
            PRIMARY KEY (organisation, kind, reason, protected, cancelled)
        );
        COMMENT ON TABLE closed_tally IS 'case_tally, summed over all days';
        CREATE TABLE open_tally (
            organisation text NOT NULL,
            day date NOT NULL,
            kind text NOT NULL,
            reason text NOT NULL,
            protected boolean NOT NULL,
            stuck boolean NOT NULL,
            since timestamptz NOT NULL,
            count bigint NOT NULL,
            PRIMARY KEY (organisation, day, kind, reason, protected, stuck, since)
        );
        COMMENT ON TABLE open_tally IS 'open cases that no retry concerns, by the UTC day on which they were accepted'
            ' and the minute in which they take effect: -infinity, when no clock matters to them';
        """
    )
    _function("tally_new_unsettled", "unsettled_tally", OF_EVALUATIONS.format(**CAME))
    _function(
        "tally_changed_unsettled", "unsettled_tally", OF_EVALUATIONS.format(**CAME), OF_EVALUATIONS.format(**WENT)
    )
    _function("tally_gone_unsettled", "unsettled_tally", OF_EVALUATIONS.format(**WENT))
    _function(
        "tally_known_unsettled", "unsettled_tally", OF_PEOPLE.format(**CAME), OF_NOBODY.format(sign=-1, rows="came")
    )
    _function(
        "tally_revised_unsettled",
        "unsettled_tally",
        *(OF_PEOPLE.format(sign=side["sign"], rows=REVISED.format(**side)) for side in (CAME, WENT)),
    )
    _function(
        "tally_unknown_unsettled", "unsettled_tally", OF_NOBODY.format(sign=1, rows="went"), OF_PEOPLE.format(**WENT)
    )
    _function("sum_new_days", "closed_tally", OF_DAYS.format(**CAME))
    _function("sum_changed_days", "closed_tally", OF_DAYS.format(**CAME), OF_DAYS.format(**WENT))
    _function("sum_gone_days", "closed_tally", OF_DAYS.format(**WENT))
    _function("tally_new_open", "open_tally", OPEN.format(**CAME))
    _function("tally_changed_open", "open_tally", OPEN.format(**CAME), OPEN.format(**WENT))
    _function("tally_gone_open", "open_tally", OPEN.format(**WENT))
    _triggers(
        "evaluation",
        "unsettled",
        new="tally_new_unsettled",
        changed="tally_changed_unsettled",
        gone="tally_gone_unsettled",
    )
    _triggers(
        "person",
        "unsettled",
        new="tally_known_unsettled",
        changed="tally_revised_unsettled",
        gone="tally_unknown_unsettled",
    )
    _triggers('"case"', "open", new="tally_new_open", changed="tally_changed_open", gone="tally_gone_open")
    _triggers("case_tally", "summed", new="sum_new_days", changed="sum_changed_days", gone="sum_gone_days")
    op.execute(_add("closed_tally", OF_DAYS.format(sign=1, rows="case_tally")))
    op.execute(_add("unsettled_tally", OF_EVALUATIONS.format(sign=1, rows="evaluation")))
    op.execute(_add("open_tally", OPEN.format(sign=1, rows='"case"')))
    op.execute(
        f"""
        -- in the order in which readers take them: the other way round they would lock each other out
        DROP TRIGGER behind_new ON person;
        DROP TRIGGER behind_changed ON person;
        DROP TRIGGER behind_new ON evaluation;
        DROP TRIGGER behind_changed ON evaluation;
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
