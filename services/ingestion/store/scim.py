"""Persons and units under the names that SCIM clients know them by; always of one source of one organisation."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.ingestion.domain.state import PersonState
from services.ingestion.domain.units import UnitState
from services.kernel.database import Connection

USER, GROUP = "User", "Group"


@dataclass(frozen=True)
class Names:
    """What a client calls its resource. `subject` is the source's own id, as its facts have it."""

    subject: str
    user_name: str | None
    external_id: str | None


@dataclass(frozen=True)
class KnownUser:
    """A person as folded. `version` differs whenever a fact or a name does.

    `id`: the resource's id. It stays when the person is merged into another one (RFC 7643 section 3.1); `person` is who
    goes on then.
    """

    id: UUID
    person: UUID
    names: Names
    state: PersonState
    version: str
    created: datetime
    changed: datetime


@dataclass(frozen=True)
class KnownGroup:
    """A unit as folded; what is planned may have been reached (`UnitState.on`)."""

    names: Names
    state: UnitState
    version: str
    created: datetime
    changed: datetime

    @property
    def id(self) -> str:
        """The resource's id: the unit's."""
        return self.names.subject


@dataclass(frozen=True)
class Sought:
    """What a list is narrowed to and ordered by, and its page; only what an index or a source's own size bounds."""

    id: str | None = None
    user_name: str | None = None
    external_id: str | None = None
    display_name: str | None = None
    order: str = "id"
    descending: bool = False
    offset: int = 0
    limit: int = 0


_NAMED = "CASE WHEN h.subject IS NULL THEN {known} ELSE h.{column} END"
_USER_NAME = _NAMED.format(known="s.external_id", column="user_name")
_USER_EXTERNAL = _NAMED.format(known="s.external_id", column="external_id")
_PERSON_AND_NAMES = (
    " JOIN person p ON p.organisation = s.organisation AND p.id = s.person"
    " LEFT JOIN scim_name h ON h.organisation = s.organisation AND h.source = s.source AND h.kind = 'User'"
    " AND h.subject = s.external_id"
)
USERS = (
    f" FROM source_identity s{_PERSON_AND_NAMES} WHERE s.organisation = %(organisation)s"
    " AND s.source = %(source)s AND p.core IS NOT NULL"
    " AND h.deleted_at IS NULL"
)
_USER_ID = "coalesce(s.origin, s.person)"
_WHO_GOES_ON = (
    "ANY(ARRAY(SELECT %(id)s::uuid UNION ALL SELECT (ties ->> 'aliasOf')::uuid FROM person"
    " WHERE organisation = %(organisation)s AND id = %(id)s::uuid))"
)
"""A resource's own person, and whom that one was merged into."""

_USER_COLUMNS = (
    f"{_USER_ID}, p.id, s.external_id, {_USER_NAME}, {_USER_EXTERNAL}, p.state::text, h.version, s.first_seen_at,"
    " greatest(s.first_seen_at, h.changed_at, (SELECT v.recorded_at FROM person_version v"
    " WHERE v.organisation = p.organisation AND v.person = p.id AND v.revision = p.revision))"
)
_GROUP_EXTERNAL = _NAMED.format(known="u.id", column="external_id")
# SCIM reserves the word (RFC 7643 section 3.1)
_GROUPS = (
    " FROM unit u LEFT JOIN scim_name h ON h.organisation = u.organisation AND h.source = %(source)s"
    " AND h.kind = 'Group' AND h.subject = u.id"
    " WHERE u.organisation = %(organisation)s AND u.state ->> 'name' IS NOT NULL AND h.deleted_at IS NULL"
    " AND strpos(u.id, 'bulkId') = 0"
)
_UNIT_TOLD = "(u.state -> 'last' ->> 'assertedAt')::timestamptz"
_UNIT_VERSION = (
    "(SELECT v.recorded_at FROM unit_version v WHERE v.organisation = u.organisation AND v.unit = u.id"
    " AND v.revision = {revision})"
)
_GROUP_COLUMNS = (
    f"u.id, {_GROUP_EXTERNAL}, u.state::text, h.version,"
    f" coalesce({_UNIT_VERSION.format(revision=1)}, {_UNIT_TOLD}),"
    f" coalesce(greatest(h.changed_at, {_UNIT_VERSION.format(revision='u.revision')}), {_UNIT_TOLD}), u.revision"
)
_CALLED = (
    " AND s.external_id = ANY(ARRAY(SELECT subject FROM scim_name WHERE organisation = %(organisation)s"
    " AND source = %(source)s AND kind = 'User' AND deleted_at IS NULL AND lower(user_name) = lower(%(user_name)s)"
    " UNION SELECT external_id FROM source_identity WHERE organisation = %(organisation)s AND source = %(source)s"
    f" AND lower(external_id) = lower(%(user_name)s))) AND lower({_USER_NAME}) = lower(%(user_name)s)"
)
_NUMBERED = (
    " AND {subject} = ANY(ARRAY(SELECT subject FROM scim_name WHERE organisation = %(organisation)s"
    " AND source = %(source)s AND kind = '{kind}' AND external_id = %(external_id)s UNION SELECT %(external_id)s))"
    " AND {shown} = %(external_id)s"
)
USER_WHERE = {
    "id": f" AND s.person = {_WHO_GOES_ON} AND {_USER_ID} = %(id)s::uuid",
    "user_name": _CALLED,
    "external_id": _NUMBERED.format(subject="s.external_id", kind=USER, shown=_USER_EXTERNAL),
}
# what is told is as of today; who waits for a unit above has only what HR has told
_UNIT_NAME = "coalesce(u.record ->> 'name', u.state ->> 'name')"
_GROUP_WHERE = {
    "id": " AND u.id = %(id)s",
    "external_id": _NUMBERED.format(subject="u.id", kind=GROUP, shown=_GROUP_EXTERNAL),
    "display_name": f" AND lower({_UNIT_NAME}) = lower(%(display_name)s)",
}
USER_ORDERS = {"id": _USER_ID, "user_name": f"lower({_USER_NAME}), {_USER_ID}"}
GROUP_ORDERS = {"id": "(u.id)", "display_name": f"lower({_UNIT_NAME}), u.id"}


def narrowed(where: dict[str, str], sought: Sought) -> str:
    """Return the conditions of a list."""
    return "".join(clause for name, clause in where.items() if getattr(sought, name) is not None)


_PAGE = " OFFSET %(offset)s LIMIT %(limit)s"


def _ordered(order: str, sought: Sought) -> str:
    direction = " DESC" if sought.descending else ""
    columns = ", ".join(f"{column}{direction}" for column in order.split(", "))
    return f" ORDER BY {columns}"


async def users(
    conn: Connection, organisation: str, source: str, sought: Sought, *, protected: bool
) -> tuple[int, list[KnownUser]]:
    """Return how many there are and a page of them; relies on source_identity's indexes and those of scim_name."""
    found = USERS + narrowed(USER_WHERE, sought)
    if not protected:
        found += " AND p.core ->> 'protection' = 'none'"
    values = {**sought.__dict__, "organisation": organisation, "source": source}
    counted = await (await conn.execute(f"SELECT count(*){found}", values)).fetchone()
    ordered = _ordered(USER_ORDERS[sought.order], sought)
    # the page is found first: what is passed over is not read whole
    page = f" FROM (SELECT s.*{found}{ordered}{_PAGE}) s{_PERSON_AND_NAMES}{ordered}"
    cursor = await conn.execute(f"SELECT {_USER_COLUMNS}{page}", values)
    return counted[0] if counted else 0, [_user(row) for row in await cursor.fetchall()]


async def user(conn: Connection, organisation: str, source: str, resource_id: UUID) -> KnownUser | None:
    """Return one person; relies on source_identity_person."""
    _, found = await users(conn, organisation, source, Sought(id=str(resource_id), limit=1), protected=True)
    return found[0] if found else None


async def lock_user(conn: Connection, organisation: str, resource_id: UUID) -> set[UUID]:
    """Hold a person, and whom it was merged into, until the transaction ends; return whom.

    Read afterwards, in a statement that sees who came before.
    """
    cursor = await conn.execute(
        f"SELECT id FROM person WHERE organisation = %(organisation)s AND id = {_WHO_GOES_ON} ORDER BY id FOR UPDATE",
        {"organisation": organisation, "id": resource_id},
    )
    return {row[0] for row in await cursor.fetchall()}


async def groups(conn: Connection, organisation: str, source: str, sought: Sought) -> tuple[int, list[KnownGroup]]:
    """Return how many there are and a page of them; an organisation has some thousand units at most."""
    found = _GROUPS + narrowed(_GROUP_WHERE, sought)
    values = {**sought.__dict__, "organisation": organisation, "source": source}
    counted = await (await conn.execute(f"SELECT count(*){found}", values)).fetchone()
    ordered = _ordered(GROUP_ORDERS[sought.order], sought)
    cursor = await conn.execute(f"SELECT {_GROUP_COLUMNS}{found}{ordered}{_PAGE}", values)
    return counted[0] if counted else 0, [_group(row) for row in await cursor.fetchall()]


async def group(conn: Connection, organisation: str, source: str, unit: str) -> KnownGroup | None:
    """Return one unit; relies on its primary key."""
    _, found = await groups(conn, organisation, source, Sought(id=unit, limit=1))
    return found[0] if found else None


async def claim(conn: Connection, organisation: str, source: str, kind: str, names: Names) -> bool:
    """Take a subject for a new resource; False when a client has it already. One that was deleted is taken again.

    The second of two clients waits here for the first.
    """
    cursor = await conn.execute(
        "INSERT INTO scim_name AS h (organisation, source, kind, subject, user_name, external_id)"
        " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (organisation, source, kind, subject) DO UPDATE"
        " SET user_name = excluded.user_name, external_id = excluded.external_id, version = h.version + 1,"
        " changed_at = now(), deleted_at = NULL WHERE h.deleted_at IS NOT NULL RETURNING 1",
        (organisation, source, kind, names.subject, names.user_name, names.external_id),
    )
    return await cursor.fetchone() is not None


async def identified(conn: Connection, organisation: str, source: str, subject: str) -> tuple[UUID, UUID] | None:
    """Return the resource's id and the person behind a source's own id, if facts have told of one; by primary key."""
    cursor = await conn.execute(
        f"SELECT {_USER_ID}, s.person FROM source_identity s JOIN person p ON p.organisation = s.organisation"
        " AND p.id = s.person AND p.core IS NOT NULL"
        " WHERE s.organisation = %s AND s.source = %s AND s.external_id = %s",
        (organisation, source, subject),
    )
    row = await cursor.fetchone()
    return None if row is None else (row[0], row[1])


async def deleted(conn: Connection, organisation: str, source: str, kind: str, subject: str) -> bool:
    """Tell whether clients see a subject no more; relies on the primary key."""
    cursor = await conn.execute(
        "SELECT 1 FROM scim_name WHERE organisation = %s AND source = %s AND kind = %s AND subject = %s"
        " AND deleted_at IS NOT NULL",
        (organisation, source, kind, subject),
    )
    return await cursor.fetchone() is not None


async def unit_state(conn: Connection, organisation: str, unit: str) -> UnitState | None:
    """Return a unit as folded, whoever sees it; relies on the primary key."""
    cursor = await conn.execute(
        "SELECT state::text FROM unit WHERE organisation = %s AND id = %s", (organisation, unit)
    )
    row = await cursor.fetchone()
    return None if row is None else UnitState.model_validate_json(row[0], extra="ignore")


async def person_state(conn: Connection, organisation: str, person: UUID) -> PersonState:
    """Return a person as folded, whoever sees it; relies on the primary key."""
    cursor = await conn.execute(
        "SELECT state::text FROM person WHERE organisation = %s AND id = %s", (organisation, person)
    )
    row = await cursor.fetchone()
    return PersonState() if row is None else PersonState.model_validate_json(row[0], extra="ignore")


async def rename(
    conn: Connection, organisation: str, source: str, kind: str, names: Names, *, gone: bool = False
) -> None:
    """Store a client's names, or that it has deleted the resource; under the lock of the person or the units."""
    await conn.execute(
        "INSERT INTO scim_name AS h (organisation, source, kind, subject, user_name, external_id, deleted_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, CASE WHEN %s THEN now() END)"
        " ON CONFLICT (organisation, source, kind, subject) DO UPDATE SET user_name = excluded.user_name,"
        " external_id = excluded.external_id, version = h.version + 1, changed_at = now(),"
        " deleted_at = excluded.deleted_at",
        (organisation, source, kind, names.subject, names.user_name, names.external_id, gone),
    )


def _version(state: str, names: int | None) -> str:
    return f'W/"{hashlib.sha256(f"{names or 0} {state}".encode()).hexdigest()[:24]}"'


def _user(row: Sequence[object]) -> KnownUser:
    resource_id, person, subject, user_name, external_id, state, names, created, changed = row
    assert isinstance(resource_id, UUID) and isinstance(person, UUID)  # noqa: S101, PT018
    assert isinstance(created, datetime) and isinstance(changed, datetime)  # noqa: S101, PT018
    return KnownUser(
        resource_id,
        person,
        Names(str(subject), _text(user_name), _text(external_id)),
        PersonState.model_validate_json(str(state), extra="ignore"),
        _version(str(state), names if isinstance(names, int) else None),
        created,
        changed,
    )


def _group(row: Sequence[object]) -> KnownGroup:
    unit, external_id, state, names, created, changed, revision = row
    assert isinstance(created, datetime) and isinstance(changed, datetime)  # noqa: S101, PT018
    return KnownGroup(
        Names(str(unit), None, _text(external_id)),
        UnitState.model_validate_json(str(state), extra="ignore"),
        _version(f"{revision} {state}", names if isinstance(names, int) else None),
        created,
        changed,
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
