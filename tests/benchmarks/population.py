"""A store as it stands after years: 50,000 people, 500,000 cases, 5 million steps, in the projections of status.

Everything is drawn from a seed: people by the demo's generator, so that a search finds as many as in real life; what
happened to them by hashes in SQL. Times are counted from the database's clock. 20 passes by five evaluators of
everybody, two for each of ten cases; one person in ten has a case open, and a few need a hand.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

import orjson
import psycopg
from psycopg.types.json import Jsonb

from deploy.demo.people import Plan, person
from deploy.demo.units import ALVSUND, BERGBY, Organisation
from services.status.domain import search

NAMESPACE = UUID("3f0c5b52-7e0f-4f0e-9d2e-0c0d5c1f7a10")
CASES = 10
EVALUATORS = ("accounts/openldap", "accounts/ad", "phones/operator", "orgtree/tree", "employment_contracts/register")
ALVSUND_SHARE = 0.9
"""The other organisation is small, and must not be seen in any figure."""


@dataclass(frozen=True)
class Size:
    """How many people; they have ten cases and a hundred steps each."""

    people: int = 50_000
    audited: int = 200_000


def fill(url: str, size: Size | None = None, *, seed: int = 1) -> None:
    """Fill the empty projections of a migrated database, as its superuser; minutes at full size."""
    size = size or Size()
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("SET search_path = status")
        conn.execute("SET synchronous_commit = off")
        conn.execute("SET work_mem = '256MB'")
        conn.execute("SET maintenance_work_mem = '256MB'")
        _units(conn)
        _people(conn, size.people, seed)
        for statement in (_CASES, _REVISIONS, _CLOSED, _PASSES, _STEPS, _EVALUATED, _EVALUATIONS, _ACCOUNTS, _CHANGES):
            conn.execute(statement)
        conn.execute(_ATTENTION)
        conn.execute(_FLAGGED)
        conn.execute(_AUDIT, {"count": size.audited, "people": size.people})
        conn.execute("DROP TABLE told, drawn, passes")
        conn.execute("VACUUM (ANALYZE)")


def _units(conn: psycopg.Connection) -> None:
    """Tell of the units, each with its manager."""
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO unit (organisation, unit, generation, revision, name, record) VALUES (%s, %s, 1, 1, %s, %s)"
            " ON CONFLICT DO NOTHING",
            [
                (
                    one.key,
                    unit.id,
                    unit.name,
                    Jsonb({"parent": unit.parent, "manager": str(person_id(one, unit.number))}),
                )
                for one in (ALVSUND, BERGBY)
                for unit in one.units
            ],
        )


def person_id(organisation: Organisation, number: int) -> UUID:
    """Return the id of the person so numbered; below the number of units it is a manager."""
    return uuid5(NAMESPACE, f"{organisation.key}/{number}")


def _employments(organisation: Organisation, told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return employments with managers as ingestion would name them."""
    managers = {
        organisation.person_id(unit.number): str(person_id(organisation, unit.number)) for unit in organisation.units
    }
    return [
        {
            **one,
            "assignments": [{**span, "manager": managers.get(span.get("manager", ""))} for span in one["assignments"]],
        }
        for one in told
    ]


def change_everybody(url: str) -> None:
    """Let HR change everybody at once, as its superuser, and evaluators have come to a tenth of them.

    Everybody else's evaluations are of an older record, and their new cases are open. No table is vacuumed after it.
    """
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("SET search_path = status")
        for statement in (_CHANGED, _CHANGED_REVISIONS, _CHANGED_CASES, _CAUGHT_UP, _CLOSED_AGAIN):
            conn.execute(statement)


def _people(conn: psycopg.Connection, count: int, seed: int) -> None:
    """Draw people, and name the evaluators that have answered for them since the beginning."""
    first = round(count * ALVSUND_SHARE)
    with conn.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE told (LIKE person INCLUDING DEFAULTS, login text, login_words text[])")
        with cursor.copy(
            "COPY told (organisation, person, generation, revision, display, sort_name, protection, core, words,"
            " recorded_at, login, login_words) FROM STDIN"
        ) as rows:
            for organisation, number in ((ALVSUND, first), (BERGBY, count - first)):
                for row in _told(organisation, number, seed):
                    rows.write_row(row)
        # in the order of their keys, so that every index grows at its end
        cursor.execute(
            "INSERT INTO person SELECT organisation, person, generation, revision, display, sort_name, protection,"
            " core, words, array_to_tsvector(words || login_words), recorded_at FROM told ORDER BY organisation, person"
        )
        cursor.execute(
            "INSERT INTO kernel.evaluator SELECT o, split_part(e, '/', 1), split_part(e, '/', 2), now() - interval"
            " '10 years' FROM unnest(%s::text[]) o, unnest(%s::text[]) e"
            " ON CONFLICT (organisation, service, target) DO UPDATE SET since = excluded.since",
            ([ALVSUND.key, BERGBY.key], list(EVALUATORS)),
        )


def _told(organisation: Organisation, count: int, seed: int) -> Iterator[tuple[Any, ...]]:
    plan = Plan(seed)
    for number in range(count):
        data = person(plan, organisation, number).data
        name = data["name"]
        preferred = name.get("preferred") or name["given"]
        numbers = [one.get("employeeNumber") for one in data["employments"]]
        login = search.fold(f"{preferred}.{name['family']}").replace(" ", "-") + f".{number}"
        yield (
            organisation.key,
            person_id(organisation, number),
            1,
            CASES,
            f"{preferred} {name['family']}".strip(),
            search.order(f"{name['family']} {preferred}"),
            data.get("protection", "none"),
            orjson.dumps({"name": name, "employments": _employments(organisation, data["employments"])}).decode(),
            search.words(organisation.key, [name["given"], name.get("preferred"), name["family"], *numbers]),
            "now",
            login,
            search.words(organisation.key, [login, f"{login}@{organisation.key}.example"]),
        )


# --- drawing: a number from 0 to 1 that belongs to a key, the same in every run
def _drawn(key: str) -> str:
    return f"(('x' || substr(md5({key}), 1, 7))::bit(28)::int / 268435456.0)"


_CASES = f"""
CREATE TEMP TABLE drawn AS
SELECT organisation, person, n, md5(person::text || n)::uuid AS case_id,
       CASE WHEN n = 1 THEN 'joiner' WHEN n = {CASES} AND fate < 0.05 THEN 'joiner'
            WHEN n = {CASES} AND fate > 0.92 THEN 'leaver' ELSE 'mover' END AS kind,
       CASE WHEN n = 1 THEN CASE WHEN chance < 0.01 THEN 'hire_cancelled' ELSE 'hire' END
            WHEN n = {CASES} AND fate < 0.05 THEN 'rehire'
            WHEN n = {CASES} AND fate > 0.999 THEN 'death' WHEN n = {CASES} AND fate > 0.997 THEN 'dismissal'
            WHEN n = {CASES} AND fate > 0.92 THEN 'date_reached'
            ELSE (ARRAY['transfer', 'end_date_changed', 'absence_changed', 'name_change', 'form_conversion',
                        'employment_added', 'correction', 'date_reached'])[1 + floor(chance * 8)] END AS reason,
       accepted_at,
       CASE WHEN n = {CASES} AND fate < 0.05 THEN now() + (1 + chance * 60) * interval '1 day'
            ELSE accepted_at + (chance - 0.5) * interval '10 days' END AS effective_at,
       CASE WHEN n < {CASES} OR fate >= 0.1 THEN 'closed' WHEN fate < 0.05 THEN 'later' WHEN fate < 0.07 THEN 'running'
            WHEN fate < 0.085 THEN 'parked' WHEN fate < 0.092 THEN 'held' WHEN fate < 0.098 THEN 'retrying'
            ELSE 'waiting' END AS stands
FROM (SELECT p.organisation, p.person, n, {_drawn("p.person::text || 'fate'")} AS fate,
             {_drawn("p.person::text || 'chance' || n")} AS chance,
             now() - ({CASES} - n + {_drawn("p.person::text || 'day' || n")}) * interval '100 days' AS accepted_at
      FROM person p, generate_series(1, {CASES}) n) d
ORDER BY organisation, person, n;
ANALYZE drawn
"""

_REVISIONS = """
INSERT INTO person_revision (organisation, person, generation, revision, case_id, kind, reason, effective_at,
                             accepted_at, recorded_at, baseline)
SELECT organisation, person, 1, n, case_id, kind, reason, effective_at, accepted_at, accepted_at, n = 1 FROM drawn
ORDER BY organisation, person, n
"""

_CLOSED = """
INSERT INTO "case" (organisation, case_id, person, kind, reason, reasons, opened_revision, generation, revision,
                    effective_at, accepted_at, updated_at, baseline, cancelled, closed_at, done_at, protected, stuck,
                    retrying_since)
SELECT d.organisation, case_id, d.person, kind, reason, ARRAY[reason], n, 1, n, effective_at, accepted_at, accepted_at,
       n = 1, reason = 'hire_cancelled', closed_at, closed_at, p.protection <> 'none', false, NULL
FROM (SELECT *, CASE WHEN stands = 'closed' THEN accepted_at
             + (10 + 3600 * power(('x' || substr(md5(case_id::text), 1, 7))::bit(28)::int / 268435456.0, 8))
             * interval '1 second' END AS closed_at FROM drawn) d
JOIN person p ON p.organisation = d.organisation AND p.person = d.person ORDER BY accepted_at
"""

_PASSES = f"""
CREATE TEMP TABLE passes AS
SELECT d.organisation, d.person, split_part(e, '/', 1) AS service, split_part(e, '/', 2) AS target, d.n AS revision,
       2 * d.n - 2 + half AS epoch, d.case_id, d.stands, d.effective_at,
       d.accepted_at + half * 3 * interval '1 second' AS recorded_at,
       CASE WHEN half = 2 AND d.n = {CASES} AND ordinality = 1 AND d.stands IN ('parked', 'held', 'retrying', 'waiting')
            THEN d.stands ELSE 'verified' END AS state,
       d.stands = 'running' AND half = 2 AND ordinality = 2 AS pending
FROM drawn d, unnest(ARRAY{list(EVALUATORS)}) WITH ORDINALITY AS t (e, ordinality), generate_series(1, 2) half;
ANALYZE passes
"""

_STEPS = """
INSERT INTO step (organisation, person, service, target, generation, epoch, attempt, revision, code, state, parameters,
                  problem, recorded_at, retry_at)
SELECT organisation, person, service, target, 1, epoch, 1, revision, service || '.settled', state,
       '{"changed": "title,department", "state": "enabled"}',
       CASE WHEN state <> 'verified' THEN '{"code": "directory.refused", "failure": "permanent"}'::jsonb END,
       recorded_at, CASE WHEN state = 'retrying' THEN now() + interval '9 minutes' END
FROM passes ORDER BY organisation, person, service, target, epoch
"""

_EVALUATED = """
INSERT INTO evaluated (organisation, person, service, target, generation, version, revision, as_of, recorded_at,
                       blocked, blocked_from, trouble, record_generation)
SELECT organisation, person, service, target, 1, epoch, revision, recorded_at, recorded_at,
       state <> 'verified' OR pending, CASE WHEN stands = 'later' THEN effective_at END, nullif(state, 'verified'), 1
FROM passes ORDER BY organisation, person, service, target, epoch
"""

_EVALUATIONS = f"""
INSERT INTO evaluation (organisation, person, service, target, generation, version, revision, policy_hash, as_of,
                        recorded_at, next_due, blocked, blocked_from, trouble, steps, why, record_generation)
SELECT organisation, person, service, target, 1, epoch, revision, 'sha256:' || repeat('0f', 32), recorded_at,
       recorded_at, CASE WHEN stands = 'later' THEN effective_at
                         WHEN {_drawn("person::text || 'ends'")} < 0.2 THEN
                              date_trunc('day', now()) + (1 + floor(300 * {_drawn("person::text || 'end'")}))
                              * interval '1 day' END,
       state <> 'verified' OR pending, CASE WHEN stands = 'later' THEN effective_at END, nullif(state, 'verified'),
       jsonb_build_array(
         jsonb_build_object('code', service || '.settled', 'state', CASE WHEN pending THEN 'planned' ELSE state END,
                            'mandatory', true, 'due', CASE WHEN stands = 'later' THEN effective_at END,
                            'verifiedAt', CASE WHEN state = 'verified' THEN recorded_at END,
                            'parameters', '{{"state": "enabled"}}'::jsonb,
                            'problem', CASE WHEN state <> 'verified' THEN
                              '{{"code": "directory.refused", "failure": "permanent"}}'::jsonb END),
         jsonb_build_object('code', service || '.told', 'state', 'verified', 'mandatory', false, 'due', NULL,
                            'verifiedAt', recorded_at, 'parameters', '{{}}'::jsonb, 'problem', NULL)),
       jsonb_build_array(jsonb_build_object('table', service, 'row', 'employed', 'employment', case_id)), 1
FROM passes WHERE epoch = {2 * CASES} ORDER BY organisation, person, service, target
"""

_ACCOUNTS = """
INSERT INTO account (organisation, person, target, generation, version, state, user_name, mail, words, changed_at,
                     verified_at, record)
SELECT organisation, person, target, 1, 8, 'enabled', login, login || '@' || organisation || '.example',
       login_words, recorded_at, recorded_at,
       jsonb_build_object('state', 'enabled', 'userName', login, 'mail', login || '@' || organisation || '.example')
FROM told, unnest(ARRAY['ad', 'openldap']) target ORDER BY organisation, person, target
"""

_CHANGES = """
INSERT INTO account_change (organisation, person, target, generation, version, state, user_name, changed_at)
SELECT organisation, person, target, 1, n, 'enabled', user_name, now() - (9 - n) * interval '120 days'
FROM account, generate_series(1, 8) n ORDER BY organisation, person, target, n
"""

_ATTENTION = f"""
INSERT INTO attention (organisation, person, service, target, ordinal, state, code, problem, hold, revision, attempt,
                       since, recorded_at, retry_at, due)
SELECT organisation, person, service, target, 0, state, service || '.settled',
       '{{"code": "directory.refused", "failure": "permanent"}}', CASE WHEN state = 'held' THEN case_id END, revision,
       1, recorded_at, recorded_at, CASE WHEN state = 'retrying' THEN now() + interval '9 minutes' END, NULL
FROM passes WHERE state <> 'verified' AND epoch = {2 * CASES}
"""

_FLAGGED = """
UPDATE "case" c SET stuck = a.state IN ('held', 'parked'),
       retrying_since = CASE WHEN a.state = 'retrying' THEN a.since END
FROM attention a WHERE a.organisation = c.organisation AND a.person = c.person AND c.closed_at IS NULL
"""

_AUDIT = f"""
INSERT INTO audit (organisation, id, actor, action, subject, reason, recorded_at, parameters, persons)
SELECT organisation, md5('audit' || n)::uuid, 'it-' || floor(60 * sqrt(draw)) || '@' || organisation, action,
       CASE WHEN action NOT LIKE '%%.listed' THEN person::text END,
       CASE WHEN action = 'command.retry' THEN 'asked by the manager' END, now() - n * interval '5 minutes', '{{}}',
       CASE WHEN action LIKE '%%.listed' THEN ARRAY(SELECT q.person FROM person q WHERE q.organisation = a.organisation
            AND q.person > a.person ORDER BY q.person LIMIT 20) ELSE '{{}}' END
FROM (SELECT n, draw, organisation, person, CASE WHEN n %% 500 = 0 THEN 'command.retry' ELSE
             (ARRAY['person.read', 'person.read', 'person.read', 'case.read', 'persons.listed', 'cases.listed',
                    'attention.listed', 'person.timeline_read'])[1 + floor(8 * {_drawn("'action' || n")})] END AS action
      FROM (SELECT n, {_drawn("'draw' || n")} AS draw FROM generate_series(1, %(count)s) n) g
      JOIN (SELECT row_number() OVER (ORDER BY person) - 1 AS at, organisation, person FROM person) p
      ON p.at = floor(g.draw * %(people)s)::bigint) a
"""

_CHANGED = "UPDATE person SET revision = revision + 1"

_CHANGED_REVISIONS = """
INSERT INTO person_revision SELECT organisation, person, generation, revision, md5(person::text || 'change')::uuid,
       'mover', 'transfer', now(), now(), now(), false
FROM person ORDER BY organisation, person
"""

_CHANGED_CASES = """
INSERT INTO "case" SELECT r.organisation, case_id, r.person, kind, reason, ARRAY[reason], r.revision, r.generation,
       r.revision, effective_at, accepted_at, accepted_at, false, false, NULL, NULL, protection <> 'none', false, NULL
FROM person p JOIN person_revision r USING (organisation, person, generation, revision) ORDER BY organisation, person
"""

_CAUGHT_UP = f"""
UPDATE evaluation e SET revision = p.revision, version = version + 1 FROM person p
WHERE p.organisation = e.organisation AND p.person = e.person AND {_drawn("p.person::text || 'caught up'")} < 0.1
"""

_CLOSED_AGAIN = f"""
UPDATE "case" SET closed_at = now(), done_at = now()
WHERE case_id = md5(person::text || 'change')::uuid AND {_drawn("person::text || 'caught up'")} < 0.1
"""
