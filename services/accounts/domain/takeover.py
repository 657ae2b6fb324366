"""Take-over: which of a target's unmarked accounts is whose (IGA: correlation), one to one or not at all (DESIGN 8)."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class Certainty(StrEnum):
    """How well it is known whose an account is."""

    CERTAIN = "certain"
    AMBIGUOUS = "ambiguous"
    NONE = "none"


class By(StrEnum):
    """What an account and a person have in common; in the order in which it is asked."""

    NUMBER = "employee_number"
    LOGIN = "login"
    MAIL = "mail"
    NAME = "name"


@dataclass(frozen=True)
class Somebody:
    """A person who shall have an account and has none that is ours. All keys are folded (`key`)."""

    person: UUID
    numbers: frozenset[str]
    logins: frozenset[str]
    mails: frozenset[str]
    name: str


@dataclass(frozen=True)
class Stray:
    """An account without a mark."""

    entry: str
    numbers: frozenset[str]
    logins: frozenset[str]
    mails: frozenset[str]
    name: str


@dataclass(frozen=True)
class Match:
    """Whose an account may be, and by what; one candidate when it is certain, none when nobody is known."""

    entry: str
    certainty: Certainty
    by: By | None
    candidates: tuple[UUID, ...]


Keys = Callable[[Somebody | Stray], Iterable[Hashable]]


def correlate(people: Sequence[Somebody], strays: Sequence[Stray]) -> list[Match]:
    """Return for every account whose it is, by the first thing that anybody has in common with it.

    Certain is what is one to one: one account and one person with an employee number, or with a login or an address
    and the same name. Whatever is shared by more, on either side, is ambiguous, and so is all that only a name tells.
    An account that bears the number of one person is never another's. The order of the arguments does not matter.
    """
    open_people = {one.person: one for one in people}
    open_strays = {one.entry: one for one in strays}
    found: list[Match] = []
    steps: tuple[tuple[By, Keys, bool], ...] = (
        (By.NUMBER, lambda one: one.numbers, True),
        (By.LOGIN, lambda one: ((login, one.name) for login in one.logins), True),
        (By.MAIL, lambda one: ((mail, one.name) for mail in one.mails), True),
        (By.LOGIN, lambda one: one.logins, False),
        (By.MAIL, lambda one: one.mails, False),
        (By.NAME, lambda one: (one.name,) if one.name else (), False),
    )
    for by, keys, sure in steps:
        edges = _edges(open_people.values(), open_strays.values(), keys)
        backwards: dict[UUID, set[str]] = defaultdict(set)
        for entry, persons in edges.items():
            for person in persons:
                backwards[person].add(entry)
        for entry, persons in sorted(edges.items()):
            single = len(persons) == 1 and len(backwards[next(iter(persons))]) == 1
            stranger = by is not By.NUMBER and bool(open_strays[entry].numbers)
            certainty = Certainty.CERTAIN if single and sure and not stranger else Certainty.AMBIGUOUS
            found.append(Match(entry, certainty, by, tuple(sorted(persons))))
        for entry in edges:
            del open_strays[entry]
        for person in backwards:
            del open_people[person]
    found += [Match(entry, Certainty.NONE, None, ()) for entry in open_strays]
    return sorted(found, key=lambda match: match.entry)


def shared(one: Somebody, other: Stray) -> tuple[By, ...]:
    """Return all that a person and an account have in common, in the order in which it is asked."""
    common = {
        By.NUMBER: one.numbers & other.numbers,
        By.LOGIN: one.logins & other.logins,
        By.MAIL: one.mails & other.mails,
        By.NAME: {one.name} & {other.name} - {""},
    }
    return tuple(by for by, values in common.items() if values)


def fingerprint(matches: Iterable[Match]) -> str:
    """Return by what a plan is known: another one of the same is the same."""
    lines = sorted(
        f"{one.entry} {one.certainty} {' '.join(str(person) for person in one.candidates)}" for one in matches
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


def key(text: str) -> str:
    """Return a value as it is compared: without case, spaces counted once."""
    return " ".join(text.casefold().split())


def _edges(people: Iterable[Somebody], strays: Iterable[Stray], keys: Keys) -> Mapping[str, set[UUID]]:
    index: dict[Hashable, set[UUID]] = defaultdict(set)
    for one in people:
        for value in keys(one):
            index[value].add(one.person)
    edges: dict[str, set[UUID]] = {}
    for stray in strays:
        persons = {person for value in keys(stray) for person in index.get(value, ())}
        if persons:
            edges[stray.entry] = persons
    return edges
