"""Intake: newer records and units are stored, and the people whom they concern are woken. Never calls a target."""

from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

from pydantic import ValidationError

from contracts.codes import Protection, Reason
from contracts.person import PersonChanged, UnitRecord, UnitRecorded
from contracts.registry import PERSON_LEAVER
from services.accounts.domain.managers import key as managing
from services.accounts.store import concealment, managers
from services.kernel.database import Connection
from services.kernel.messaging import inputs, members
from services.kernel.messaging.inputs import Input
from services.kernel.messaging.intake import Handler, Incoming
from services.kernel.work import Wake, WorkKey, raise_wanted

PERSON = "person"
UNIT = "unit"
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
        return {"person.core": self.person_changed, "unit.recorded": self.unit_recorded}

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

    async def unit_recorded(self, conn: Connection, messages: Sequence[Incoming]) -> None:
        """Take in units and wake the people whose records name them. Safe to replay and in any order."""
        found: dict[tuple[str, str], Incoming] = {
            (message.event.data.organisation, message.event.data.unit): message for message in messages
        }
        await members.lock(conn, list(found), exclusive=True)
        records: list[UnitRecorded] = [message.event.data for message in messages]
        before = await inputs.load(conn, UNIT, list(found))
        newer = await inputs.store(
            conn,
            [Input(UNIT, one.organisation, one.unit, one.generation, one.revision, _body(one)) for one in records],
        )
        if not newer:
            return
        traceparent = next(iter(found.values())).event.traceparent
        told = {(one.organisation, one.unit) for one in records if _leads_otherwise(one, before)}
        await managers.tell(conn, [(one[0], None, managing(one[1])) for one in sorted(told)])
        concerned = await members.of_units(conn, [(organisation, unit) for _, organisation, unit in newer])
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


def _leads_otherwise(unit: UnitRecorded, before: Mapping[tuple[str, str], bytes]) -> bool:
    """Tell whether a unit may have another manager, or others above it; a name alone concerns its members only."""
    body = before.get((unit.organisation, unit.unit))
    try:
        known = UnitRecorded.model_validate_json(body, extra="ignore").record if body is not None else None
    except ValidationError:
        return True
    return known is None or _leading(known) != _leading(unit.record)


def _leading(unit: UnitRecord) -> tuple[object, ...]:
    return unit.manager, unit.parent, unit.valid_to


def _version(data: PersonChanged) -> tuple[int, int]:
    return data.generation, data.revision


def _units(data: PersonChanged) -> list[str]:
    live = (employment for employment in data.record.employments if not employment.cancelled)
    return sorted({assignment.unit for employment in live for assignment in employment.assignments})


def _body(data: PersonChanged | UnitRecorded) -> bytes:
    return data.model_dump_json(by_alias=True).encode()
