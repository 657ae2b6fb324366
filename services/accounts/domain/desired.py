"""What the account shall be at an instant: state, attributes, and when that changes next."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from contracts.codes import AccountState, Protection
from contracts.person import Assignment, CoreRecord, Employment
from services.accounts.domain.names import is_neutral
from services.accounts.domain.timeline import (
    Ending,
    Entitlement,
    Phase,
    longest_grace,
    retained_until,
    shifted,
    timeline,
)
from services.accounts.domain.units import Unit
from services.kernel.clock import local_date, start_of_day

UNIT_ALARM_DAYS = 3


@dataclass(frozen=True)
class ReservedNames:
    """Login and addresses that are this person's for ever; the first address is the primary one."""

    login: str
    mails: tuple[str, ...]


@dataclass(frozen=True)
class Desired:
    """The account as it shall be now.

    `attributes` holds every attribute that we manage (empty: it shall not be there); `unit_missing` names a unit that
    has not been recorded yet: then the department attributes are left as they are. `changes` are the phases to come.
    `surplus`: the id is an alias of somebody who has an account of their own. What is there is left as it is for as
    long as that person has one, but for the employee number, which goes with the person, and for what tells of somebody
    protected; nothing is made.
    """

    state: AccountState
    attributes: Mapping[str, tuple[str, ...]]
    names: ReservedNames | None
    correlation: str | None
    unit_missing: str | None
    next_boundary: datetime | None
    changes: tuple[tuple[datetime, Phase], ...]
    ending: Ending | None
    effect: datetime | None
    """When the present state was reached; for a removal, when it was due."""
    grace_days: int
    endings: tuple[Ending, ...]
    unit_due: datetime | None
    """When a missing unit begins to matter: three days before the assignment starts (DOMAIN 49)."""
    why: tuple[tuple[UUID, Entitlement], ...]
    zone: ZoneInfo = field(repr=False)
    surplus: bool = False
    expires: datetime | None = None
    """From when the directory itself shall refuse an open account."""
    login: str | None = None
    """What the account shall be called if it is called otherwise: only of somebody protected, or it is left alone."""

    @property
    def removes_next(self) -> bool:
        """Whether the next change takes something away."""
        if not self.changes or self.changes[0][0] != self.next_boundary:
            return False
        return self.changes[0][1].state != AccountState.ENABLED and self.state != AccountState.ABSENT

    @property
    def opens(self) -> bool:
        """Whether the account is open, or will be: nothing is made for somebody who has left already."""
        enabled = self.state == AccountState.ENABLED or any(phase is Phase.ENABLED for _, phase in self.changes)
        return enabled and not self.surplus


def needs_name(wanted: Desired) -> bool:
    """Tell whether an account that is not there yet needs login and address."""
    return wanted.state != AccountState.ABSENT and wanted.opens


def never_made(wanted: Desired) -> Desired:
    """Return what shall be for somebody without an account: none, when it would only be there to be deleted."""
    if wanted.state == AccountState.ABSENT or wanted.opens:
        return wanted
    return replace(wanted, state=AccountState.ABSENT, unit_missing=None, changes=(), next_boundary=None)


def desired(
    record: CoreRecord,
    entitlements: Mapping[UUID, Entitlement],
    units: Mapping[str, Unit],
    names: ReservedNames | None,
    now: datetime,
    zone: ZoneInfo,
) -> Desired:
    """Return the account that the person shall have at `now`; a pure function of its arguments.

    Args:
        record: The newest core record.
        entitlements: Policy's answer per employment id.
        units: The units that are known, by what records name.
        names: What is reserved for the person; without it there are no attributes.
        now: Business time (UTC).
        zone: The organisation's zone.
    """
    line = timeline(record, entitlements, zone)
    phase = line.phase(now)
    main = record.main_employment(local_date(now, zone))
    assignment = main.assignment(local_date(now, zone)) if main else None
    shown = assignment if record.protection == Protection.NONE else None
    missing = shown.unit if shown and shown.unit not in units else None
    return Desired(
        state=phase.state,
        attributes=_attributes(record, main, assignment, units, names) if names else {},
        names=names,
        correlation=main.employee_number if main and record.alias_of is None else None,
        unit_missing=missing if phase is not Phase.ABSENT else None,
        next_boundary=line.next_boundary(now),
        changes=tuple(line.changes(now)),
        ending=line.last_ending(now),
        effect=max((w.ends for w in line.windows if w.ends <= now and w.phase > phase), default=None),
        grace_days=longest_grace(entitlements.values()),
        endings=line.endings,
        unit_due=_unit_due(main, shown, zone) if missing is not None else None,
        why=tuple((e.id, entitlements[e.id]) for e in record.employments if not e.cancelled),
        zone=zone,
        surplus=record.alias_of is not None,
        expires=line.expires(now),
        login=names.login if names and record.protection != Protection.NONE and is_neutral(names.login) else None,
    )


def retain(wanted: Desired, *, open_now: bool, closed_at: datetime | None, now: datetime) -> Desired:
    """Give an account that people have used its days of grace, counted from when it was really closed.

    `desired` alone would delete it at once when HR reports an end late, cancels an employment that had begun, or when
    we were away: an account found open is closed first, and never deleted by the pass that closes it.

    Args:
        wanted: What record and policy say.
        open_now: The account is enabled in the target.
        closed_at: When we disabled it after it had been enabled; None when it never was.
        now: Business time.
    """
    closed = now if open_now else closed_at
    if wanted.state != AccountState.ABSENT or closed is None:
        return wanted
    until = retained_until(closed, wanted.grace_days, wanted.zone)
    if open_now:
        until = max(until, now + timedelta(seconds=1))
    if until <= now:
        return wanted
    following = min(boundary for boundary in (wanted.next_boundary, until) if boundary is not None)
    earlier = tuple(change for change in wanted.changes if change[0] < until)
    changes = wanted.changes if earlier else ((until, Phase.ABSENT), *wanted.changes)
    return replace(wanted, state=AccountState.DISABLED, next_boundary=following, changes=changes)


def _attributes(
    record: CoreRecord,
    main: Employment | None,
    assignment: Assignment | None,
    units: Mapping[str, Unit],
    names: ReservedNames,
) -> dict[str, tuple[str, ...]]:
    if record.alias_of is not None:
        hidden = {} if record.protection == Protection.NONE else _neutral(main, names)
        return {**hidden, "employeeNumber": ()}
    name = record.name
    if record.protection != Protection.NONE:
        return _neutral(main, names)
    attributes = {
        "cn": _some(name.display),
        "displayName": _some(name.display),
        "givenName": _some(name.given),
        # inetOrgPerson requires sn; who has no family name gets the given one.
        "sn": _some(name.family or name.given),
        "mail": names.mails,
        "employeeNumber": _some(main.employee_number if main else None),
        "title": _some(assignment.title if assignment else None),
    }
    if assignment is None:
        return {**attributes, "ou": (), "departmentNumber": ()}
    unit = units.get(assignment.unit)
    if unit is not None and unit.name is not None:
        attributes |= {"ou": _some(unit.name), "departmentNumber": (unit.id,)}
    return attributes


def _neutral(main: Employment | None, names: ReservedNames) -> dict[str, tuple[str, ...]]:
    """Return the attributes of somebody with a protected identity: nothing tells who, what or where (DOMAIN 40)."""
    label = names.login if is_neutral(names.login) else names.mails[0].partition("@")[0]
    return {
        **dict.fromkeys(("cn", "displayName", "givenName", "sn"), (label,)),
        "mail": tuple(mail for mail in names.mails if is_neutral(mail.partition("@")[0])),
        "employeeNumber": _some(main.employee_number if main else None),
        **dict.fromkeys(("title", "ou", "departmentNumber"), ()),
    }


def _unit_due(main: Employment | None, assignment: Assignment | None, zone: ZoneInfo) -> datetime | None:
    if main is None or assignment is None:
        return None
    return start_of_day(shifted(max(main.valid_from, assignment.valid_from), -UNIT_ALARM_DAYS), zone)


def _some(value: str | None) -> tuple[str, ...]:
    return (value,) if value and value.strip() else ()
