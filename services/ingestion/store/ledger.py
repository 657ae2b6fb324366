"""What accepting facts reads and writes, a whole batch in each statement.

What goes in goes as one JSON parameter (`recordset`).

Locks are taken in one order, so that two batches cannot deadlock: identities, persons, tree, units, facts, work.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

import orjson
from psycopg.errors import SerializationFailure
from pydantic import TypeAdapter

from contracts.person import ConfidentialRecord, CoreRecord
from services.ingestion.domain.classification import OpenCase
from services.ingestion.domain.dossier import Dossier, Instant
from services.ingestion.domain.identity import FREE, Likeness, Ties, fresh
from services.ingestion.domain.projection import Records
from services.ingestion.domain.state import PersonState
from services.ingestion.domain.tree import UnitPlace
from services.ingestion.domain.units import UnitDossier
from services.ingestion.store import units as units_sql
from services.ingestion.store.erasure import Tombstone, tombstones
from services.ingestion.store.recognising import RECOGNISE, RECOGNISED, seen
from services.kernel.clock import BUSINESS_NOW
from services.kernel.database import Connection, recordset
from services.kernel.erasure import ErasureKey

_CASES = TypeAdapter(tuple[OpenCase, ...])

Identity = tuple[str, str, str]
"""(organisation, source, external id)."""

EventKey = tuple[str, str, str]
"""(organisation, source, event id)."""


@dataclass(frozen=True)
class KnownFact:
    """A fact that is in the ledger."""

    id: UUID
    body_hash: bytes
    person: UUID | None
    unit: str | None
    revision: int | None
    case_id: UUID | None


@dataclass(frozen=True)
class NewFact:
    """A fact to write; `body` is the event as it came."""

    id: UUID
    key: EventKey
    kind: str
    asserted_at: datetime
    sequence: int
    actor: str
    person: UUID | None
    unit: str | None
    revision: int | None
    case_id: UUID | None
    body: bytes
    body_hash: bytes
    traceparent: str | None


@dataclass(frozen=True)
class StoredPerson:
    """A locked person row: the dossier, who it mentions, and the boundary that the dates worker waits for."""

    dossier: Dossier
    mentions: Mapping[tuple[str, str], UUID]
    next_boundary: datetime | None


@dataclass(frozen=True)
class Ground:
    """All that a batch stands on, read under the locks that it needs.

    `units`: those of the batch, and those that wait for one of them. `places`: the whole tree of their organisations.
    `since`: up to when what was asserted under an id was of somebody else, who is erased. `erased`: ids that mean
    nobody any more.
    """

    at: Instant
    identities: Mapping[Identity, UUID]
    persons: Mapping[tuple[str, UUID], StoredPerson]
    facts: Mapping[EventKey, KnownFact]
    units: Mapping[tuple[str, str], UnitDossier]
    trees: Mapping[str, int]
    places: Mapping[str, Mapping[str, UnitPlace]] = field(default_factory=dict)
    since: Mapping[Identity, datetime] = field(default_factory=dict)
    erased: Mapping[Identity, Tombstone] = field(default_factory=dict)


@dataclass(frozen=True)
class Keys:
    """What a batch is about. `subjects` are persons told of; `mentioned` are managers and sponsors.

    `likenesses`: by what a subject can be recognised as somebody whom we know under another id.
    """

    subjects: frozenset[Identity]
    mentioned: frozenset[Identity]
    units: frozenset[tuple[str, str]]
    events: frozenset[EventKey]
    likenesses: Mapping[Identity, Likeness]


_ALLOCATE = (
    "INSERT INTO source_identity (organisation, source, external_id, person) SELECT * FROM json_to_recordset(%s::json)"
    " AS k (organisation text, source text, external_id text, person uuid) ON CONFLICT DO NOTHING"
)
# OFFSET 0 in LATERAL is a fence: the planner cannot know how few keys there are, and would read whole tables
_IDENTIFIED = (
    " FROM json_to_recordset(%s::json) AS k (organisation text, source text, external_id text)"
    " CROSS JOIN LATERAL (SELECT s.person, s.since FROM source_identity s WHERE s.organisation = k.organisation"
    " AND s.source = k.source AND s.external_id = k.external_id OFFSET 0) i"
)
_ENSURE_PERSONS = (
    f"INSERT INTO person (organisation, id) SELECT DISTINCT k.organisation, i.person{_IDENTIFIED}"
    " ORDER BY 1, 2 ON CONFLICT DO NOTHING"
)
_PERSON_COLUMNS = (
    "p.organisation, p.id, p.generation, p.revision, p.state::text, p.core::text, p.confidential::text,"
    " p.mentions::text, p.cases::text, p.announced_until, p.next_boundary, p.ties::text"
)
# rows are locked in the order of the inner query
_LOCK_PERSONS = (
    f"SELECT {_PERSON_COLUMNS}, k.source, k.external_id, k.since"
    f" FROM (SELECT k.*, i.person, i.since{_IDENTIFIED} ORDER BY k.organisation, i.person OFFSET 0) k"
    " CROSS JOIN LATERAL (SELECT * FROM person WHERE organisation = k.organisation AND id = k.person FOR UPDATE) p"
)
_GLANCE_PERSONS = (
    f"SELECT {_PERSON_COLUMNS}, k.source, k.external_id, k.since"
    f" FROM (SELECT k.*, i.person, i.since{_IDENTIFIED} OFFSET 0) k"
    " CROSS JOIN LATERAL (SELECT * FROM person WHERE organisation = k.organisation AND id = k.person OFFSET 0) p"
)
_BY_ID = (
    f"SELECT {_PERSON_COLUMNS} FROM person p WHERE (p.organisation, p.id) IN (SELECT k.organisation, k.id"
    " FROM json_to_recordset(%s::json) AS k (organisation text, id uuid)) ORDER BY p.organisation, p.id"
)
_MENTIONED = f"SELECT k.organisation, k.source, k.external_id, i.person{_IDENTIFIED}"
_ENSURE_TREES = "INSERT INTO tree (organisation) SELECT unnest(%b::text[]) ON CONFLICT DO NOTHING"
_LOCK_TREES = "SELECT organisation, revision FROM tree WHERE organisation = ANY(%s) ORDER BY 1 FOR UPDATE"
# read after the locks: whoever accepted the same event for the same person has committed by then
_KNOWN_FACTS = (
    "SELECT k.organisation, k.source, k.event_id, f.id, f.body_hash, f.person, f.unit, f.revision, f.case_id"
    " FROM json_to_recordset(%s::json) AS k (organisation text, source text, event_id text)"
    " CROSS JOIN LATERAL (SELECT * FROM fact WHERE organisation = k.organisation AND source = k.source"
    " AND event_id = k.event_id OFFSET 0) f"
)
# who has erased nobody pays nothing for it
_NOW = f"SELECT {BUSINESS_NOW}, now(), EXISTS (SELECT FROM erased_identity)"


def _keys(rows: Iterable[tuple[object, ...]], *names: str) -> tuple[str]:
    """Turn sorted rows into the one parameter of a recordset."""
    return (recordset(dict(zip(names, row, strict=True)) for row in rows),)


_IDENTITY = ("organisation", "source", "external_id")


async def ground(conn: Connection, keys: Keys, key: ErasureKey | None = None) -> Ground:
    """Allocate identities, lock the persons and units of a batch, and read what is known; one round trip.

    It is two where somebody has been erased: an id that nobody knows may be one that is not to be known again.
    """
    named = sorted(keys.subjects | keys.mentioned)
    organisations = sorted({organisation for organisation, _ in keys.units})
    subjects = _keys(sorted(keys.subjects), *_IDENTITY)
    async with conn.pipeline():
        if keys.likenesses:
            await conn.execute(RECOGNISE, seen(keys.likenesses))
        if named:
            persons_of = fresh({key: keys.likenesses.get(key) for key in named})
            await conn.execute(_ALLOCATE, _keys([(*key, persons_of[key]) for key in named], *_IDENTITY, "person"))
        people = mentioned = trees = units = places = None
        if keys.subjects:
            await conn.execute(_ENSURE_PERSONS, subjects)
            people = await conn.execute(_LOCK_PERSONS, subjects)
        if keys.mentioned:
            mentioned = await conn.execute(_MENTIONED, _keys(keys.mentioned, *_IDENTITY))
        if organisations:
            await conn.execute(_ENSURE_TREES, (organisations,))
            trees = await conn.execute(_LOCK_TREES, (organisations,))
            units = await conn.execute(units_sql.CONCERNED, units_sql.keyed(keys.units))
            places = await conn.execute(units_sql.PLACES, (organisations,))
        facts = await conn.execute(_KNOWN_FACTS, _keys(keys.events, "organisation", "source", "event_id"))
        clock = await conn.execute(_NOW)
    ((business, recorded, any_erased),) = await clock.fetchall()
    identities: dict[Identity, UUID] = {}
    persons: dict[tuple[str, UUID], StoredPerson] = {}
    since: dict[Identity, datetime] = {}
    for row in await people.fetchall() if people else ():
        identities[row[0], row[12], row[13]] = row[1]
        persons[row[0], row[1]] = stored_person(row)
        if row[14] is not None:
            since[row[0], row[12], row[13]] = row[14]
    for row in await mentioned.fetchall() if mentioned else ():
        identities[row[0], row[1], row[2]] = row[3]
    await _still_theirs(conn, persons, {key: identities[key] for key in keys.subjects})
    return Ground(
        at=Instant(business=business, recorded=recorded),
        identities=identities,
        persons=persons,
        facts={(row[0], row[1], row[2]): KnownFact(*row[3:9]) for row in await facts.fetchall()},
        units=units_sql.dossiers(await units.fetchall()) if units else {},
        trees={row[0]: row[1] for row in await trees.fetchall()} if trees else {},
        places=units_sql.places(await places.fetchall()) if places else {},
        since=since,
        erased=await tombstones(conn, keys.subjects, key) if any_erased and key is not None else {},
    )


async def glance(conn: Connection, keys: Keys, key: ErasureKey | None = None) -> Ground:
    """Read what a batch would stand on, without a lock or a trace: who is not known gets an id of no account."""
    recognised: dict[Identity, UUID] = {}
    organisations = sorted({organisation for organisation, _ in keys.units})
    if keys.likenesses:
        cursor = await conn.execute(RECOGNISED, seen(keys.likenesses))
        recognised = {(row[0], row[1], row[2]): row[3] for row in await cursor.fetchall()}
    async with conn.pipeline():
        people = await conn.execute(_GLANCE_PERSONS, _keys(keys.subjects, *_IDENTITY))
        known = await conn.execute(_MENTIONED, _keys(keys.subjects | keys.mentioned, *_IDENTITY))
        facts = await conn.execute(_KNOWN_FACTS, _keys(keys.events, "organisation", "source", "event_id"))
        clock = await conn.execute(_NOW)
    ((business, recorded, any_erased),) = await clock.fetchall()
    identities: dict[Identity, UUID] = {(row[0], row[1], row[2]): row[3] for row in await known.fetchall()}
    identities = recognised | identities
    identities |= {one: uuid4() for one in keys.subjects | keys.mentioned if one not in identities}
    found = await people.fetchall()
    persons = {(row[0], row[1]): stored_person(row) for row in found}
    persons |= await by_id(conn, {(one[0], person) for one, person in recognised.items()}, lock=False)
    for subject in keys.subjects:
        person = identities[subject]
        persons.setdefault((subject[0], person), StoredPerson(Dossier(person), {}, None))
    return Ground(
        at=Instant(business=business, recorded=recorded),
        identities=identities,
        persons=persons,
        facts={(row[0], row[1], row[2]): KnownFact(*row[3:9]) for row in await facts.fetchall()},
        units=await units_sql.concerned(conn, keys.units),
        trees=dict.fromkeys(organisations, 0),
        places=await units_sql.all_places(conn, organisations),
        since={(row[0], row[12], row[13]): row[14] for row in found if row[14] is not None},
        erased=await tombstones(conn, keys.subjects, key) if any_erased and key is not None else {},
    )


async def _still_theirs(
    conn: Connection, persons: Mapping[tuple[str, UUID], StoredPerson], read: Mapping[Identity, UUID]
) -> None:
    """See to it that a source's id did not come to mean somebody else while this transaction waited for the lock.

    Raises:
        psycopg.errors.SerializationFailure: It did; the next try reads anew.
    """
    if not any(stored.dossier.ties.remapped_at for stored in persons.values()):
        return
    cursor = await conn.execute(_MENTIONED, _keys(sorted(read), *_IDENTITY))
    if read != {(row[0], row[1], row[2]): row[3] for row in await cursor.fetchall()}:
        raise outdated("a source's id means somebody else now")


def outdated(reason: str) -> SerializationFailure:
    """Return the error after which the whole transaction is tried again, and reads anew (`CONTENDED`)."""
    return SerializationFailure(reason)


async def by_id(
    conn: Connection, persons: Iterable[tuple[str, UUID]], *, lock: bool
) -> dict[tuple[str, UUID], StoredPerson]:
    """Read persons by their own ids, in their order, locked or not."""
    wanted = sorted(persons)
    if not wanted:
        return {}
    cursor = await conn.execute(_BY_ID + (" FOR UPDATE" if lock else ""), _keys(wanted, "organisation", "id"))
    return {(row[0], row[1]): stored_person(row) for row in await cursor.fetchall()}


def stored_person(row: Sequence[object]) -> StoredPerson:
    """Read the columns of a person row, of whichever version wrote it: what is new in a later one is ignored."""
    _, person, generation, revision, state, core, confidential, mentions, cases, until, boundary, ties = row[:12]
    records = None
    if core is not None:
        records = Records(
            CoreRecord.model_validate_json(str(core), extra="ignore"),
            ConfidentialRecord.model_validate_json(str(confidential), extra="ignore"),
        )
    assert isinstance(person, UUID) and isinstance(generation, int) and isinstance(revision, int)  # noqa: S101, PT018
    dossier = Dossier(
        person=person,
        generation=generation,
        revision=revision,
        state=PersonState.model_validate_json(str(state), extra="ignore"),
        records=records,
        cases=_CASES.validate_json(str(cases)),
        announced_until=until if isinstance(until, datetime) else None,
        ties=FREE if ties is None else Ties.model_validate_json(str(ties), extra="ignore"),
    )
    known = {(source, external): UUID(found) for source, external, found in orjson.loads(str(mentions))}
    return StoredPerson(dossier, known, boundary if isinstance(boundary, datetime) else None)


async def person_bodies(
    conn: Connection, persons: Sequence[tuple[str, UUID]]
) -> dict[tuple[str, UUID], list[tuple[str, bytes]]]:
    """Return (type, event as it came) of all facts of persons, to fold again; relies on the index fact_person."""
    cursor = await conn.execute(
        "SELECT k.organisation, k.person, f.kind, f.body::text"
        " FROM unnest(%b::text[], %b::uuid[]) AS k (organisation, person) CROSS JOIN LATERAL (SELECT kind, body"
        " FROM fact WHERE organisation = k.organisation AND person = k.person OFFSET 0) f",
        ([key[0] for key in persons], [key[1] for key in persons]),
    )
    found: dict[tuple[str, UUID], list[tuple[str, bytes]]] = {key: [] for key in persons}
    for row in await cursor.fetchall():
        found[row[0], row[1]].append((row[2], row[3].encode()))
    return found


async def meant(conn: Connection, mentions: Iterable[Identity]) -> dict[Identity, UUID]:
    """Return the persons whom ids that were mentioned earlier mean."""
    wanted = sorted(mentions)
    if not wanted:
        return {}
    cursor = await conn.execute(_MENTIONED, _keys(wanted, *_IDENTITY))
    return {(row[0], row[1], row[2]): row[3] for row in await cursor.fetchall()}


async def write_facts(conn: Connection, facts: Sequence[NewFact]) -> None:
    """Add facts; the same event told in two transactions at once violates the primary key (`CONTENDED`)."""
    await conn.execute(
        "INSERT INTO fact (id, organisation, source, event_id, kind, asserted_at, sequence, actor, person, unit,"
        " revision, case_id, body, body_hash, traceparent)"
        " SELECT id, organisation, source, event_id, kind, asserted_at, sequence, actor, person, unit, revision,"
        " case_id, body, decode(body_hash, 'hex'), traceparent"
        " FROM json_to_recordset(%s::json) AS f (id uuid, organisation text, source text, event_id text, kind text,"
        " asserted_at timestamptz, sequence bigint, actor text, person uuid, unit text, revision int, case_id uuid,"
        " body jsonb, body_hash text, traceparent text)",
        (
            recordset(
                {
                    "id": row.id,
                    "organisation": row.key[0],
                    "source": row.key[1],
                    "event_id": row.key[2],
                    "kind": row.kind,
                    "asserted_at": row.asserted_at,
                    "sequence": row.sequence,
                    "actor": row.actor,
                    "person": row.person,
                    "unit": row.unit,
                    "revision": row.revision,
                    "case_id": row.case_id,
                    "body": orjson.Fragment(row.body),
                    "body_hash": row.body_hash.hex(),
                    "traceparent": row.traceparent,
                }
                for row in sorted(facts, key=lambda fact: fact.key)
            ),
        ),
    )


async def write_persons(conn: Connection, persons: Mapping[tuple[str, UUID], StoredPerson]) -> None:
    """Store dossiers of persons that this transaction has locked; ON CONFLICT finds each row by its key."""
    await conn.execute(
        "INSERT INTO person (organisation, id, generation, revision, state, core, confidential, mentions, cases,"
        " announced_until, next_boundary) SELECT * FROM json_to_recordset(%s::json) AS n (organisation text, id uuid,"
        " generation int, revision int, state jsonb, core jsonb, confidential jsonb, mentions jsonb, cases jsonb,"
        " announced_until timestamptz, next_boundary timestamptz)"
        " ON CONFLICT (organisation, id) DO UPDATE SET generation = excluded.generation,"
        " revision = excluded.revision, state = excluded.state, core = excluded.core,"
        " confidential = excluded.confidential, mentions = excluded.mentions, cases = excluded.cases,"
        " announced_until = excluded.announced_until, next_boundary = excluded.next_boundary",
        (recordset(_person(key, stored) for key, stored in sorted(persons.items())),),
    )


def _person(key: tuple[str, UUID], stored: StoredPerson) -> dict[str, object]:
    dossier = stored.dossier
    records = dossier.records
    return {
        "organisation": key[0],
        "id": key[1],
        "generation": dossier.generation,
        "revision": dossier.revision,
        "state": orjson.Fragment(dossier.state.model_dump_json(by_alias=True)),
        "core": orjson.Fragment(records.core_json) if records else None,
        "confidential": orjson.Fragment(records.confidential_json) if records else None,
        "mentions": [[*mention, person] for mention, person in stored.mentions.items()],
        "cases": orjson.Fragment(_CASES.dump_json(dossier.cases, by_alias=True)),
        "announced_until": dossier.announced_until,
        "next_boundary": stored.next_boundary,
    }
