"""Intake: newer records and units are stored, and the people whom they concern are woken. Never calls a target."""

from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

from contracts.codes import Protection, Reason
from contracts.organisation import UnitChanged
from contracts.person import PersonChanged
from contracts.registry import PERSON_LEAVER
from services.accounts.domain.managers import key as managing
from services.accounts.domain.managers import place
from services.accounts.store import concealment, managers, units
from services.kernel.database import Connection
from services.kernel.messaging import inputs, members
from services.kernel.messaging.inputs import Input
from services.kernel.messaging.intake import Handler, Incoming
from services.kernel.work import Wake, WorkKey, raise_wanted

PERSON = "person"
PAGE = 1000
Targets = Mapping[str, Sequence[str]]
"""Organisation to the targets in which its people have accounts."""


class AccountIntake:
    """Takes in what concerns people's accounts, and wakes each target that the organisation has."""

    def __init__(self, targets: Targets) -> None:
        self._targets = targets

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """Topic to handler."""
        return {"person.core": self.person_changed, "unit.changed": self.unit_changed}

    async def person_changed(self, conn: Connection, messages: Sequence[Incoming]) -> None:
        """Take in core records. Safe to replay and in any order: an older revision changes nothing, wakes nobody."""
        records: dict[tuple[str, str, str], tuple[Incoming, PersonChanged]] = {}
        for message in messages:
            data: PersonChanged = message.event.data
            key = (PERSON, data.organisation, str(data.person))
            if key not in records or _version(data) > _version(records[key][1]):
                records[key] = (message, data)
        named = {key: _units(data) for key, (_, data) in records.items()}
        await members.lock(conn, [(key[1], unit) for key, found in named.items() for unit in found], exclusive=False)
        newer = await inputs.store(
            conn,
            [
                Input(PERSON, data.organisation, str(data.person), data.generation, data.revision, _body(data))
                for message in messages
                for data in (message.event.data,)
            ],
        )
        fresh = {key: records[key] for key in sorted(newer)}
        if not fresh:
            return
        await members.remember(
            conn,
            [(key[1], UUID(key[2])) for key in fresh],
            [(key[1], unit, UUID(key[2])) for key in fresh for unit in named[key]],
        )
        await raise_wanted(conn, [wake for message, data in fresh.values() for wake in self._wakes(message, data)])
        hidden = {
            (key[1], UUID(key[2])): data.record
            for key, (_, data) in fresh.items()
            if data.record.protection != Protection.NONE
        }
        if hidden:
            await concealment.conceal(conn, hidden)
        # whatever becomes of their own account: nobody's entry shows them any more
        await managers.tell(conn, [(organisation, None, managing(person)) for organisation, person in hidden])

    async def unit_changed(self, conn: Connection, messages: Sequence[Incoming]) -> None:
        """Take in units, and wake whose records name them, or whom others lead now. Safe to replay and in any order."""
        told: list[UnitChanged] = [message.event.data for message in messages]
        keys = sorted({(one.organisation, one.unit) for one in told})
        await members.lock(conn, keys, exclusive=True)
        before = await inputs.load(conn, units.KIND, keys)
        newer = await inputs.store(
            conn,
            [Input(units.KIND, one.organisation, one.unit, one.generation, one.version, _body(one)) for one in told],
        )
        newest = {
            (one.organisation, one.unit): one
            for one in sorted(told, key=lambda one: (one.generation, one.version))
            if (units.KIND, one.organisation, one.unit) in newer
        }
        others: list[tuple[str, str]] = []
        for key, one in newest.items():
            known = units.read(before.get(key))
            index = _first_difference(known, one)
            if index is not None:
                await managers.tell(conn, [(key[0], None, managing(place(key[1], index)))])
            if known is None or _shown(known) != _shown(one):
                others.append(key)
        concerned = await members.of_units(conn, await units.with_merged(conn, others)) if others else []
        traceparent = messages[0].event.traceparent
        await raise_wanted(
            conn,
            [
                Wake(WorkKey(organisation, PERSON, str(person), target), traceparent=traceparent)
                for organisation, person in concerned
                for target in self._targets.get(organisation, ())
            ],
        )

    def _wakes(self, message: Incoming, data: PersonChanged) -> Iterator[Wake]:
        removal = message.type == PERSON_LEAVER or data.reason == Reason.HIRE_CANCELLED
        for target in self._targets.get(data.organisation, ()):
            key = WorkKey(data.organisation, PERSON, str(data.person), target)
            yield Wake(key, message.lane, removal=removal, traceparent=message.event.traceparent)


async def wake_everybody(conn: Connection, organisation: str, target: str) -> int:
    """Ask for a pass over all people that are known: a target that is new. Returns how many."""
    count, after = 0, ""
    while subjects := await inputs.subjects(conn, PERSON, organisation, after=after, limit=PAGE):
        await raise_wanted(conn, [Wake(WorkKey(organisation, PERSON, subject, target)) for subject in subjects])
        count, after = count + len(subjects), subjects[-1]
    return count


def _first_difference(known: UnitChanged | None, now: UnitChanged) -> int | None:
    """Return the first place in the line of leaders where somebody else stands now; None: there is none."""
    before = _leaders(known)
    after = _leaders(now)
    if before == after:
        return None
    return next(
        (index for index, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]),
        min(len(before), len(after)),
    )


def _leaders(unit: UnitChanged | None) -> tuple[UUID, ...]:
    return () if unit is None or unit.record is None else tuple(leader.person for leader in unit.record.leaders)


def _shown(unit: UnitChanged) -> tuple[str | None, str | None]:
    """Return what entries show of a unit, and where its people are."""
    return unit.record.name if unit.record is not None else None, unit.moved


def _version(data: PersonChanged) -> tuple[int, int]:
    return data.generation, data.revision


def _units(data: PersonChanged) -> list[str]:
    live = (employment for employment in data.record.employments if not employment.cancelled)
    return sorted({assignment.unit for employment in live for assignment in employment.assignments})


def _body(data: PersonChanged | UnitChanged) -> bytes:
    return data.model_dump_json(by_alias=True).encode()
