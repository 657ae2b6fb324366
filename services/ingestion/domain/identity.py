"""Whose record it is: official numbers, likeness and contradiction, and what binds two ids of one person together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID, uuid4

from contracts.base import Message
from contracts.codes import IdentifierKind, Protection
from contracts.hr import HrIdentifier, HrName, HrPersonRecorded
from services.ingestion.domain.state import PersonState

OFFICIAL = frozenset({IdentifierKind.PERSONNUMMER, IdentifierKind.SAMORDNINGSNUMMER})
"""Numbers that the Tax Agency gives to one person only (folkbokföringslagen 18-18 a §§); an interim one is nobody's."""

DIGITS = 12


class Returned(Message):
    """A source's id that came back: what is asserted before `since` is told of `person`, who had it then."""

    source: str
    external_id: str
    since: datetime
    person: UUID


class Ties(Message):
    """What binds a person's id to others, as it is kept beside the dossier; nearly everybody has none.

    `alias_of`: the person who goes on; this id only mirrors that record, so that what hangs on it follows. `retired`:
    what hung on the alias is wound up. `held_by`: the case that waits for a person to say who this is. `remapped_at`:
    when a source's id last came to mean somebody else than this person (the server's clock). `released`: somebody let
    this person's going through at ingestion's guard; it holds until the person stays after all. `returned`: ids that
    were another's before they were this person's. `erased_at`: business time at which what was known of the person was
    emptied.
    """

    alias_of: UUID | None = None
    aliases: tuple[UUID, ...] = ()
    retired: bool = False
    held_by: UUID | None = None
    remapped_at: datetime | None = None
    released: bool = False
    returned: tuple[Returned, ...] = ()
    erased_at: datetime | None = None

    def formers(self, person: UUID) -> Mapping[tuple[str, str], UUID]:
        """Return who had a (source, external id) before, other than the person whose ties these are."""
        return {(one.source, one.external_id): one.person for one in self.returned if one.person != person}


FREE = Ties()


@dataclass(frozen=True)
class Likeness:
    """What tells people apart."""

    numbers: frozenset[str]
    name: HrName | None
    birth_date: date | None

    def agrees(self, other: "Likeness") -> bool:
        """Tell whether both are one person for certain: a number, half a name, and no other birth date."""
        if not self.numbers & other.numbers or self.name is None or other.name is None:
            return False
        born = {day for day in (self.birth_date, other.birth_date) if day is not None}
        return len(born) < 2 and not another_name(self.name, other.name)


def likeness(data: HrPersonRecorded) -> Likeness | None:
    """Return what a fact tells of somebody whom we may know already; None when no official number is told.

    Who is protected is never recognised by a machine: a made-up identity must not lead to the old one (DOMAIN 41).
    """
    numbers = official(data.identifiers or ())
    if not numbers or data.name is None or (data.protection or Protection.NONE) is not Protection.NONE:
        return None
    return Likeness(numbers, data.name, data.birth_date)


def official(identifiers: Iterable[HrIdentifier]) -> frozenset[str]:
    """Return the official numbers among identifiers, as twelve digits; what has another length is opaque."""
    kept = (_digits(one.value) for one in identifiers if one.kind in OFFICIAL)
    return frozenset(digits for digits in kept if len(digits) == DIGITS)


def _digits(value: str) -> str:
    return "".join(character for character in value if character in "0123456789")


def another_name(one: HrName, other: HrName) -> bool:
    """Tell whether neither given nor family name is the same; case does not count, an empty name says nothing."""
    pairs = ((one.given, other.given), (one.family, other.family))
    return not any(name and name.casefold() == known.casefold() for name, known in pairs)


def contradicts(state: PersonState, data: HrPersonRecorded) -> bool:
    """Tell whether a fact tells of somebody else than it used to: another birth date and another name (DOMAIN).

    Where one of them tells no birth date, official numbers that have nothing in common say the same.
    """
    if state.name is None or data.name is None or not another_name(state.name, data.name):
        return False
    if state.birth_date is not None and data.birth_date is not None:
        return state.birth_date != data.birth_date
    known, told = official(state.identifiers), official(data.identifiers or ())
    return bool(known and told) and known.isdisjoint(told)


def fresh(found: Mapping[tuple[str, str, str], Likeness | None]) -> dict[tuple[str, str, str], UUID]:
    """Return a new person for each (organisation, source, external id), the same one for those who agree."""
    known: dict[tuple[str, str], tuple[Likeness, UUID]] = {}
    persons = {}
    for key in sorted(found):
        like = found[key]
        same = _among(known, key[0], like) if like else None
        persons[key] = person = same or uuid4()
        if like is not None:
            for number in like.numbers:
                known.setdefault((key[0], number), (like, person))
    return persons


def _among(known: Mapping[tuple[str, str], tuple[Likeness, UUID]], organisation: str, like: Likeness) -> UUID | None:
    found = [known[organisation, number] for number in sorted(like.numbers) if (organisation, number) in known]
    return next((person for other, person in found if other.agrees(like)), None)
