"""Intake: newer records and units are stored, and the tree and the people whom they concern are woken."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from uuid import UUID

from contracts.facts import AccountChanged
from contracts.person import PersonChanged, UnitRecorded
from services.kernel.database import Connection
from services.kernel.messaging import inputs, members
from services.kernel.messaging.inputs import Input
from services.kernel.messaging.intake import Handler, Incoming
from services.kernel.work import Wake, WorkKey, raise_wanted
from services.orgtree.domain.periods import Line
from services.orgtree.handlers.tree import PERSON, person_key, tree_key
from services.orgtree.store import grouping, versions
from services.orgtree.store.versions import Told

UNIT = "unit"


class OrganisationIntake:
    """Takes in what concerns the tree and people's places in it."""

    def __init__(self, targets: Mapping[str, Sequence[str]] = MappingProxyType({})) -> None:
        self._targets = targets

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """Topic to handler."""
        return {
            "person.core": self.person_changed,
            "unit.recorded": self.unit_recorded,
            "account.changed": self.account_changed,
        }

    async def person_changed(self, conn: Connection, messages: Sequence[Incoming]) -> None:
        """Take in core records. Safe to replay and in any order: an older revision changes nothing, wakes nobody."""
        await versions.lock(conn, exclusive=False)
        found: list[tuple[Incoming, PersonChanged]] = [(message, message.event.data) for message in messages]
        newer = await inputs.store(
            conn,
            [
                Input(PERSON, data.organisation, str(data.person), data.generation, data.revision, _body(data))
                for _, data in found
            ],
        )
        fresh: dict[tuple[str, UUID], tuple[Incoming, PersonChanged]] = {}
        for message, data in sorted(found, key=lambda one: (one[1].generation, one[1].revision)):
            if (PERSON, data.organisation, str(data.person)) in newer:
                fresh[data.organisation, data.person] = (message, data)
        if not fresh:
            return
        await members.remember(
            conn, list(fresh), [(key[0], unit, key[1]) for key, (_, data) in fresh.items() for unit in _units(data)]
        )
        wakes = [
            Wake(person_key(*key), message.lane, traceparent=message.event.traceparent)
            for key, (message, _) in fresh.items()
        ]
        leading = await versions.leading(conn, list(fresh))
        await raise_wanted(conn, [*wakes, *(Wake(tree_key(organisation)) for organisation in sorted(leading))])

    async def unit_recorded(self, conn: Connection, messages: Sequence[Incoming]) -> None:
        """Take in units, every version of them, and wake the trees. Safe to replay and in any order."""
        await versions.lock(conn, exclusive=True)
        found: list[tuple[Incoming, UnitRecorded]] = [(message, message.event.data) for message in messages]
        await versions.append(conn, [Told(data, message.event.time) for message, data in found])
        newer = await inputs.store(
            conn,
            [
                Input(UNIT, data.organisation, data.unit, data.generation, data.revision, _body(data))
                for _, data in found
            ],
        )
        if not newer:
            return
        newest = {
            (data.organisation, data.unit): data
            for _, data in sorted(found, key=lambda one: (one[1].generation, one[1].revision))
            if (UNIT, data.organisation, data.unit) in newer
        }
        await versions.name_leaders(
            conn, {key: Line.of(key[1], data.revision, data.record).named for key, data in newest.items()}
        )
        traceparent = found[0][0].event.traceparent
        trees = sorted({organisation for organisation, _ in newest})
        await raise_wanted(conn, [Wake(tree_key(one), traceparent=traceparent) for one in trees])

    async def account_changed(self, conn: Connection, messages: Sequence[Incoming]) -> None:
        """Take in accounts in targets where units stand, and wake their owners there."""
        found: list[AccountChanged] = [message.event.data for message in messages]
        here = [one for one in found if one.target in self._targets.get(one.organisation, ())]
        changed = await grouping.store_accounts(conn, here)
        await raise_wanted(
            conn,
            [
                Wake(
                    WorkKey(message.event.data.organisation, PERSON, str(message.event.data.person), one.target),
                    message.lane,
                    traceparent=message.event.traceparent,
                )
                for message, one in zip(messages, found, strict=True)
                if (one.organisation, one.person, one.target) in changed
            ],
        )


def _units(data: PersonChanged) -> list[str]:
    live = (employment for employment in data.record.employments if not employment.cancelled)
    return sorted({assignment.unit for employment in live for assignment in employment.assignments})


def _body(data: PersonChanged | UnitRecorded) -> bytes:
    return data.model_dump_json(by_alias=True).encode()
