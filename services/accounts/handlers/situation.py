"""What a pass knows before it looks at the directory: read for many claims at once, in the claim's transaction."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
from typing import TypeVar
from uuid import UUID

from pydantic import ValidationError

from contracts.codes import AccountState, Protection
from contracts.person import CoreRecord, Employment, PersonChanged
from services.accounts.domain import names as naming
from services.accounts.domain.desired import Desired, ReservedNames, desired, needs_name
from services.accounts.domain.erasure import winding_up
from services.accounts.domain.expiry import limited
from services.accounts.domain.grants import Birthright, Entitled, Grant, Standing, entitled
from services.accounts.domain.managers import MANAGER, Superior, led
from services.accounts.domain.names import Naming
from services.accounts.domain.other_hand import Hands, Rule, Verdict
from services.accounts.domain.timeline import Entitlement, timeline
from services.accounts.domain.units import Unit
from services.accounts.handlers.intake import PERSON
from services.accounts.handlers.managing import superiors
from services.accounts.ports import Decide, DecideAll, Policy
from services.accounts.store import accounts, grants, hands, names, takeover, targets
from services.accounts.store import units as store_units
from services.accounts.store.accounts import AccountRow
from services.accounts.store.grants import Owned
from services.accounts.store.ledger import Wants, chosen
from services.accounts.store.names import LOGIN, MAIL, Reservation, Want
from services.accounts.store.takeover import Adoption
from services.accounts.store.targets import EVERY_UNIT
from services.kernel import telemetry
from services.kernel.clock import local_date
from services.kernel.database import Connection
from services.kernel.erasure import ErasureKey
from services.kernel.failures import Failure, Permanent
from services.kernel.messaging import inputs
from services.kernel.policy import PolicyRefused
from services.kernel.settings import OrganisationSettings
from services.kernel.work import Claim

log = telemetry.get_logger(__name__)

Answer = TypeVar("Answer")

TABLE = "accounts"
BIRTHRIGHT = "birthright"
NAMES = "names"
LOOP = 5
"""How often the same is written to an account in a day before it is left to a person."""
MANY = 100
"""From so many people on their records are read in a thread."""


@dataclass(frozen=True)
class Situation:
    """One person: the newest record, policy's answers, units, reserved names, the account as it was last verified.

    `failure` is what made it impossible to find out; it concerns this person only.
    """

    organisation: OrganisationSettings | None = None
    event: PersonChanged | None = None
    entitlements: Mapping[UUID, Entitlement] = field(default_factory=dict)
    units: Mapping[str, Unit] = field(default_factory=dict)
    names: ReservedNames | None = None
    row: AccountRow | None = None
    policy_hash: str = ""
    live: bool = True
    entitled: Entitled = field(default_factory=Entitled)
    naming: Naming = naming.PLAIN
    owned: Owned = field(default_factory=dict)
    failure: Failure | None = None
    hands: Hands = field(default_factory=Hands)
    adoption: Adoption | None = None
    superior: Superior = field(default_factory=Superior)

    @property
    def left(self) -> frozenset[Grant]:
        """What a person has left to another hand that took it."""
        accepted = {label for label, one in self.hands.decided.items() if one.verdict is Verdict.ACCEPT}
        return frozenset(grant for grant in self.entitled.grants | self.owned.keys() if grant.label in accepted)

    def desired(self, now: datetime, names: ReservedNames | None) -> Desired:
        """Return the account that record and policy ask for at `now`.

        Raises:
            Permanent: There is no record, or no such organisation.
        """
        if self.event is None or self.organisation is None:
            raise self.failure or Permanent("account.record_missing")
        zone = self.organisation.zone
        if self.event.record.erased:
            row = self.row
            return winding_up(row.state if row else AccountState.ABSENT, row.next_due if row else None, now, zone)
        wanted = desired(self.event.record, self.entitlements, self.units, names, now, zone)
        wanted = led(wanted, self.event.record, self.superior, ours=MANAGER in self.hands.written)
        return limited(wanted, self.hands)


Key = tuple[str, UUID]


class Reader:
    """Reads situations: one SQL round each for records, accounts, reservations, units, managers; one for new names."""

    def __init__(
        self,
        target: str,
        organisations: Mapping[str, OrganisationSettings],
        policy: Policy,
        want: Wants,
        *,
        staged: bool = False,
        rules: Mapping[str, Rule] | None = None,
        loop: int = LOOP,
    ) -> None:
        self._target = target
        self._organisations = organisations
        self._policy = policy
        self._want = want
        self._staged = staged
        self._rules = rules or {}
        self._loop = loop

    async def read(self, conn: Connection, claims: Sequence[Claim]) -> list[Situation]:
        """Return the situations of the claims, in their order; who needs a name and has none gets it reserved."""
        keys = [(claim.key.organisation, UUID(claim.key.subject)) for claim in claims]
        nows = {key: claim.business_now for key, claim in zip(keys, claims, strict=True)}
        situations, held = await self._look(conn, nows)
        await self._reserve(conn, situations, held, nows)
        return [replace(situations[key], names=_chosen(situations[key], held.get(key, ()))) for key in keys]

    async def glance(
        self, conn: Connection, keys: Sequence[Key], now: datetime, *, entitling: bool = False
    ) -> dict[Key, Situation]:
        """Return the situations of people, `entitling` with groups and licences too; reserve nothing."""
        situations, held = await self._look(conn, dict.fromkeys(keys, now), entitling=entitling)
        return {key: replace(one, names=_chosen(one, held.get(key, ()))) for key, one in situations.items()}

    async def _look(
        self, conn: Connection, nows: Mapping[Key, datetime], *, entitling: bool = True
    ) -> tuple[dict[Key, Situation], dict[Key, list[Reservation]]]:
        await self._policy.refresh(conn)
        keys = list(nows)
        bodies = await inputs.load(conn, PERSON, [(organisation, str(person)) for organisation, person in keys])
        rows = await accounts.load(conn, self._target, keys)
        held = await names.load(conn, keys)
        owned = await grants.load(conn, self._target, keys)
        decided, looping = await hands.load(conn, self._target, keys, loop=self._loop)
        adoptions = await takeover.pending(conn, self._target, keys)
        decide, decide_all = remembered(self._policy.decide), remembered(self._policy.decide_all)

        def begun() -> dict[Key, Situation]:
            return {
                key: self._begin(
                    key, bodies.get((key[0], str(key[1]))), rows.get(key), now, decide, decide_all, entitling=entitling
                )
                for key, now in nows.items()
            }

        situations = await asyncio.to_thread(begun) if len(keys) > MANY else begun()
        units_named = {(key[0], unit) for key, situation in situations.items() for unit in _named(situation)}
        units = await store_units.load(conn, units_named)
        zones = {key: one.organisation.zone for key, one in situations.items() if one.organisation is not None}
        known_people = {
            key: (one.event.record, local_date(nows[key], zones[key]))
            for key, one in situations.items()
            if one.event is not None and key in zones
        }
        above = await superiors(conn, self._target, known_people, units)
        live = await targets.live(conn, self._target, sorted({key[0] for key in keys})) if self._staged else None
        for key, situation in situations.items():
            named = _named(situation)
            known = {unit: units[key[0], unit] for unit in named if (key[0], unit) in units}
            here = live is None or not live.get(key[0], frozenset()).isdisjoint(named | {EVERY_UNIT})
            seen = Hands(
                self._rules,
                situation.row.written if situation.row else {},
                decided.get(key, {}),
                looping.get(key, {}),
                hidden=situation.event is not None and situation.event.record.protection != Protection.NONE,
            )
            situations[key] = replace(
                situation,
                units=known,
                live=here,
                owned=owned.get(key, {}),
                hands=seen,
                adoption=adoptions.get(key),
                superior=above.get(key, Superior()),
            )
        return situations, held

    def _begin(
        self,
        key: Key,
        body: bytes | None,
        row: AccountRow | None,
        now: datetime,
        decide: Decide,
        decide_all: DecideAll,
        *,
        entitling: bool,
    ) -> Situation:
        if body is None:
            return Situation(row=row)
        organisation = self._organisations.get(key[0])
        if organisation is None:
            return Situation(row=row, failure=Permanent("organisation.unknown"))
        try:
            event = PersonChanged.model_validate_json(body, extra="ignore")
        except ValidationError as error:
            return Situation(row=row, failure=Permanent("account.record_unusable", errors=error.error_count()))
        try:
            rules = entitlements(decide, key[0], event.record, self._target)
            policy_hash = self._policy.hash(TABLE, key[0])
            gives = Entitled()
            if entitling:
                line = timeline(event.record, rules, organisation.zone)
                ask = partial(birthrights, decide_all, key[0], self._target)
                gives = entitled(line, ask, now, organisation.zone)
            rule = naming_of(decide_all, key[0], event.record, local_date(now, organisation.zone))
        # A table that fails for one person must not keep the whole batch from being worked on.
        except (PolicyRefused, ValueError, KeyError, TypeError, RuntimeError) as error:
            failure = Permanent("policy.failed", kind=type(error).__name__)
            return Situation(organisation, event, row=row, failure=failure)
        return Situation(organisation, event, rules, row=row, policy_hash=policy_hash, entitled=gives, naming=rule)

    async def _reserve(
        self,
        conn: Connection,
        situations: dict[Key, Situation],
        held: dict[Key, list[Reservation]],
        nows: Mapping[Key, datetime],
    ) -> None:
        wants: list[Want] = []
        back = sorted(
            key
            for key, found in held.items()
            if any(one.released for one in found)
            and situations[key].failure is None
            and _wants_names(situations[key], nows[key])
        )
        if back:
            await names.keep(conn, back)
        for key, situation in situations.items():
            try:
                wants += self._missing(key, situation, held.get(key, ()), nows[key])
            except Exception as error:
                # One person's odd data must not keep the whole batch from being worked on.
                log.exception("account.record_unusable", organisation=key[0], subject=str(key[1]))
                failure = Permanent("account.record_unusable", kind=type(error).__name__)
                situations[key] = replace(situation, failure=failure)
        if not wants:
            return
        # another target's pass may be reserving for the same people: who comes second finds what the first got
        people = sorted({(want.organisation, want.person) for want in wants})
        await names.lock(conn, people)
        held.update(await names.load(conn, people))
        wants = [want for want in wants if not _reserved(held.get((want.organisation, want.person), ()), want)]
        for reservation in await names.reserve(conn, wants):
            held.setdefault((reservation.organisation, reservation.person), []).append(reservation)

    def _missing(self, key: Key, situation: Situation, held: Sequence[Reservation], now: datetime) -> list[Want]:
        if situation.event is None or situation.failure is not None or not _wants_names(situation, now):
            return []
        record = situation.event.record
        if record.erased or (record.alias_of is not None and record.protection == Protection.NONE):
            return []  # what is there keeps its names, and nothing is made
        stem = _stem(situation.event.record)
        wants = [self._want(*key, kind, stem, situation.naming) for kind in (LOGIN, MAIL)]
        return [want for want in wants if not _reserved(held, want)]


def _reserved(held: Sequence[Reservation], want: Want) -> bool:
    """Tell whether the person has what is wanted: a login is for good, an address is the present name's.

    Who is protected gets another login when theirs holds the name.
    """
    return any(
        one.kind == want.kind
        and not one.refused
        and (one.stem == want.stem or (want.kind == LOGIN and (want.stem != "" or naming.is_neutral(one.value))))
        for one in held
    )


def remembered(
    decide: Callable[[str, str, Mapping[str, object]], Answer],
) -> Callable[[str, str, Mapping[str, object]], Answer]:
    """Ask a table once for each state: among the people of a batch there are few, and each costs 0.1 ms."""
    known: dict[tuple[object, ...], Answer] = {}

    def asked(table: str, organisation: str, state: Mapping[str, object]) -> Answer:
        key = (table, organisation, *state.values())
        if key not in known:
            known[key] = decide(table, organisation, state)
        return known[key]

    return asked


def entitlements(decide: Decide, organisation: str, record: CoreRecord, target: str) -> dict[UUID, Entitlement]:
    """Ask a table what each employment gives in a target."""
    return {one.id: _entitlement(decide, organisation, one, target) for one in record.employments}


def _entitlement(decide: Decide, organisation: str, employment: Employment, target: str) -> Entitlement:
    state = {
        "form": employment.form.value,
        "extent": employment.extent,
        "fixed": employment.valid_to is not None,
        "sponsored": employment.sponsor is not None,
        "baseline": employment.baseline,
    }
    decision = decide(TABLE, organisation, state)
    return Entitlement.from_output(decision.output, table=TABLE, row=decision.row, target=target)


def birthrights(decide: DecideAll, organisation: str, target: str, standing: Standing) -> list[Birthright]:
    """Ask a table what an employment gives in a target besides the account."""
    state = {
        "target": target,
        "form": standing.employment.form.value,
        "extent": standing.employment.extent,
        "unit": standing.assignment.unit if standing.assignment else None,
        "title": standing.assignment.title if standing.assignment else None,
        "absence": standing.absence,
        "sponsored": standing.employment.sponsor is not None,
    }
    found = decide(BIRTHRIGHT, organisation, state)
    return [Birthright.from_output(one.output, table=BIRTHRIGHT, row=one.row) for one in found]


def naming_of(decide: DecideAll, organisation: str, record: CoreRecord, on: date) -> Naming:
    """Ask the table of names how somebody is named by their main employment; without a table as everybody is."""
    main = record.main_employment(on)
    state = {"form": main.form.value if main else None, "sponsored": main is not None and main.sponsor is not None}
    found = decide(NAMES, organisation, state)
    return Naming.from_output(found[0].output, table=NAMES, row=found[0].row) if found else naming.PLAIN


def _wants_names(situation: Situation, now: datetime) -> bool:
    standing = situation.row is not None and situation.row.state != AccountState.ABSENT
    return standing or needs_name(situation.desired(now, None))


def _named(situation: Situation) -> set[str]:
    if situation.event is None:
        return set()
    return {a.unit for e in situation.event.record.employments if not e.cancelled for a in e.assignments}


def _stem(record: CoreRecord) -> str:
    return naming.stem(record.name, record.protection)


def _chosen(situation: Situation, held: Sequence[Reservation]) -> ReservedNames | None:
    if situation.event is None or situation.event.record.erased:
        return None
    return chosen(held, _stem(situation.event.record))


def wants(
    organisations: Mapping[str, OrganisationSettings], blocklist: naming.Blocklist, key: ErasureKey | None = None
) -> Wants:
    """Return what turns (organisation, person, kind, stem, rule) into a want with its endless candidates."""

    def want(organisation: str, person: UUID, kind: str, stem: str, rule: Naming) -> Want:
        settings = organisations[organisation]
        if kind == LOGIN:
            values = naming.candidates(stem, naming.LOGIN_LENGTH, blocklist, rule.login)
        else:
            locals_ = naming.candidates(stem, naming.MAIL_LENGTH, blocklist, rule.mail)
            values = (f"{local}@{rule.domain or settings.mail_domain}" for local in locals_)
        return Want(organisation, person, settings.naming_scope, kind, stem, values, key)

    return want
