"""What is kept of accounts and holds values of protected people: emptied at once, and not kept anew."""

from collections.abc import Sequence
from uuid import UUID

from pydantic import ValidationError

from contracts.person import CoreRecord, PersonChanged
from services.accounts.domain.concealment import Telling
from services.accounts.store import names
from services.kernel.database import Connection


async def telling(conn: Connection, organisation: str) -> Telling:
    """Return what the protected people of an organisation are known by. Reads all records, once a run."""
    cursor = await conn.execute(
        "SELECT subject, body FROM input WHERE kind = 'person' AND organisation = %s"
        """ AND body NOT LIKE '%%"protection":"none"%%'""",
        (organisation,),
    )
    found = {UUID(row[0]): record for row in await cursor.fetchall() if (record := _record(row[1])) is not None}
    return await _telling(conn, organisation, found)


async def hidden(conn: Connection, organisation: str, people: Sequence[UUID]) -> frozenset[UUID]:
    """Return who of these people is protected, and let nobody become it until the transaction ends.

    Who keeps values of people asks first: intake stores the word and then empties what is kept, so it finds them.
    """
    if not people:
        return frozenset()
    cursor = await conn.execute(
        "WITH locked AS MATERIALIZED (SELECT subject, body FROM input WHERE kind = 'person' AND organisation = %s"
        " AND subject = ANY(%s) ORDER BY subject FOR SHARE)"
        """ SELECT subject FROM locked WHERE body NOT LIKE '%%"protection":"none"%%'""",
        (organisation, [str(person) for person in people]),
    )
    return frozenset(UUID(row[0]) for row in await cursor.fetchall())


async def conceal(conn: Connection, records: dict[tuple[str, UUID], CoreRecord]) -> None:
    """Empty findings and plans of what they hold of people (organisation, person) who are protected. Safe to repeat.

    Their own findings by finding_person; what is nobody's is read through, for it says so by its values only.
    """
    for organisation in sorted({key[0] for key in records}):
        people = {person: record for (where, person), record in records.items() if where == organisation}
        about = await _telling(conn, organisation, people)
        await _findings(conn, organisation, sorted(people), about)
        await _plans(conn, organisation, sorted(people), about)


async def _findings(conn: Connection, organisation: str, people: Sequence[UUID], about: Telling) -> None:
    await conn.execute(
        "UPDATE finding SET detail = '{}' WHERE organisation = %s AND person = ANY(%s) AND kind = 'changed'"
        " AND detail <> '{}'",
        (organisation, people),
    )
    await conn.execute(
        "UPDATE finding f SET detail = jsonb_build_object('enabled', f.detail -> 'enabled')"
        " WHERE f.organisation = %(organisation)s AND f.person IS NULL AND f.detail ? 'userName'"
        " AND (lower(f.detail ->> 'userName') = ANY(%(logins)s)"
        f" OR {_any('f.detail', 'employeeNumber', 'numbers')} OR {_any('f.detail', 'mail', 'logins')}"
        f" OR {_any('f.detail', 'displayName', 'names')}"
        " OR f.about IN (SELECT r.entry FROM takeover_row r JOIN takeover_plan p ON p.id = r.plan"
        " WHERE p.organisation = %(organisation)s AND r.candidates && %(people)s::uuid[]))".encode(),
        _values(organisation, people, about),
    )


async def _plans(conn: Connection, organisation: str, people: Sequence[UUID], about: Telling) -> None:
    """Keep login and addresses where there is somebody to adopt the account: they become theirs by that."""
    await conn.execute(
        "UPDATE takeover_row r SET detail = '{}',"
        " user_name = CASE WHEN r.candidates = '{}' THEN '' ELSE r.user_name END,"
        " mails = CASE WHEN r.candidates = '{}' THEN '{}' ELSE r.mails END"
        " FROM takeover_plan p WHERE p.id = r.plan AND p.organisation = %(organisation)s AND r.detail <> '{}'"
        " AND (r.candidates && %(people)s::uuid[] OR lower(r.user_name) = ANY(%(logins)s)"
        " OR lower(r.mails::text)::text[] && %(logins)s"
        f" OR {_any('r.detail', 'employeeNumber', 'numbers')} OR {_any('r.detail', 'displayName', 'names')})".encode(),
        _values(organisation, people, about),
    )


def _any(detail: str, name: str, values: str) -> str:
    return (
        f"EXISTS (SELECT FROM jsonb_array_elements_text({detail} -> '{name}') AS v (value)"
        f" WHERE lower(v.value) = ANY(%({values})s))"
    )


def _values(organisation: str, people: Sequence[UUID], about: Telling) -> dict[str, object]:
    return {
        "organisation": organisation,
        "people": list(people),
        "numbers": sorted(about.numbers),
        "logins": sorted(about.logins),
        "names": sorted(about.names),
    }


async def _telling(conn: Connection, organisation: str, records: dict[UUID, CoreRecord]) -> Telling:
    held = await names.load(conn, [(organisation, person) for person in records])
    return Telling.of(records.values(), (one.value for found in held.values() for one in found))


def _record(body: str) -> CoreRecord | None:
    try:
        return PersonChanged.model_validate_json(body, extra="ignore").record
    except ValidationError:
        return None
