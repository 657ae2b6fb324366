"""Accounts through the adapters of OpenLDAP and Active Directory, beside bare ldap3 with the same reads and writes.

The floor replays what the adapter was seen to do for one person, for others, on as many connections.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import count
from queue import Queue
from typing import Any
from uuid import UUID, uuid4

import ldap3
import pytest
from typing_extensions import override

from services.accounts.adapters.active_directory import ActiveDirectoryAccounts
from services.accounts.adapters.openldap import OpenLdapAccounts
from services.accounts.domain.plan import Change, Create
from services.accounts.ports import AccountDirectory, Lookup, Stamp
from services.kernel.directory import Directory, DirectoryAccess, Entry, Modification, Scope, Value
from services.kernel.directory.encryption import StrictTls
from services.kernel.directory.session import DELETED
from services.kernel.marks import Mark
from tests.benchmarks import figures
from tests.integration.accounts.harness import access, clear
from tests.support.servers import SambaUnderTest, SlapdUnderTest

ROUNDS = 3
WARM_UP = 40
ORGANISATION = "alvsund"
_NUMBERS = count(1)


@dataclass(frozen=True)
class Somebody:
    """One person with names that nobody has had."""

    number: int = field(default_factory=lambda: next(_NUMBERS))
    person: UUID = field(default_factory=uuid4)

    @property
    def login(self) -> str:
        return f"bench{self.number:06}"

    @property
    def mail(self) -> str:
        return f"{self.login}@alvsund.example"


class Noting(Directory):
    """Does everything, and notes it."""

    def __init__(self, there: DirectoryAccess) -> None:
        super().__init__(there)
        self.calls: list[tuple[Any, ...]] = []

    @override
    async def search(self, base: str, condition: str, attributes: Sequence[str], **options: Any) -> list[Entry]:
        self.calls.append(("search", base, condition, attributes, options.get("scope"), options.get("deleted", False)))
        return await super().search(base, condition, attributes, **options)

    @override
    async def add(
        self, dn: str, object_classes: Sequence[str], attributes: Mapping[str, tuple[Value, ...]], **options: Any
    ) -> None:
        self.calls.append(("add", dn, object_classes, dict(attributes)))
        await super().add(dn, object_classes, attributes, **options)

    @override
    async def modify(self, dn: str, modifications: Sequence[Modification], **options: Any) -> None:
        self.calls.append(("modify", dn, tuple(modifications)))
        await super().modify(dn, modifications, **options)


@dataclass(frozen=True)
class Place:
    """A directory through the adapter, and a bare connection to it. `id_of`: the id that is asked for, if any."""

    name: str
    directory: Noting
    accounts: AccountDirectory
    connect: Callable[[], ldap3.Connection]
    threads: int
    people: int
    id_of: Callable[[Mapping[str, Any]], str | None] = lambda _: None


@pytest.fixture(params=["openldap", "active_directory"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    make = _openldap if request.param == "openldap" else _active_directory
    place = await make(request)
    place.directory.calls.clear()
    yield place
    await place.directory.close()


async def _openldap(request: pytest.FixtureRequest) -> Place:
    slapd: SlapdUnderTest = request.getfixturevalue("slapd")
    there = access(slapd)
    directory, base = Noting(there), slapd.suffixes[0]
    await clear(directory, base)

    def connect() -> ldap3.Connection:
        server = ldap3.Server(slapd.url, get_info=ldap3.NONE)
        return ldap3.Connection(server, there.bind_dn, there.password, client_strategy=ldap3.SAFE_SYNC, auto_bind=True)

    accounts = OpenLdapAccounts(directory, {ORGANISATION: base})
    return Place("OpenLDAP", directory, accounts, connect, there.threads, people=1000)


async def _active_directory(request: pytest.FixtureRequest) -> Place:
    samba: SambaUnderTest = request.getfixturevalue("samba")
    directory = Noting(samba.access())

    def connect() -> ldap3.Connection:
        server = ldap3.Server(samba.url, get_info=ldap3.NONE, tls=StrictTls(samba.ca_file))
        return ldap3.Connection(
            server, samba.service_dn, samba.service_password, client_strategy=ldap3.SAFE_SYNC, auto_bind=True
        )

    accounts = ActiveDirectoryAccounts(directory, {ORGANISATION: samba.bases[0]})
    threads = samba.access().threads
    return Place("Active Directory (Samba)", directory, accounts, connect, threads, people=150, id_of=_guid)


def _guid(attributes: Mapping[str, Any]) -> str:
    return str(UUID(bytes_le=attributes["objectGUID"][0]))


async def _life(accounts: AccountDirectory, who: Somebody) -> None:
    attributes = {
        "cn": ("Åsa Öberg",), "displayName": ("Åsa Öberg",), "givenName": ("Åsa",), "sn": ("Öberg",),
        "mail": (who.mail,), "employeeNumber": (str(who.number),), "title": ("Lärare",), "ou": ("Björkskolan",),
        "departmentNumber": ("100",),
    }  # fmt: skip
    lookup = Lookup(ORGANISATION, who.person, str(who.number), who.login, who.mail)
    await accounts.find(lookup)
    made = await accounts.add(who.login, Create(False, attributes), Stamp(ORGANISATION, who.person, Mark(1, 1), 1))
    found = await accounts.find(replace(lookup, entry=made.entry))
    assert found.mine is not None
    change = Change({"title": ("Rektor",)}, enabled=True)
    await accounts.change(found.mine, change, Stamp(ORGANISATION, who.person, Mark(1, 2), 2))


async def _ours(accounts: AccountDirectory, people: int) -> float:
    began = time.perf_counter()
    await asyncio.gather(*(_life(accounts, Somebody()) for _ in range(people)))
    return people / (time.perf_counter() - began)


class Floor:
    """Bare ldap3: the noted calls with another person's names in place of the noted one's."""

    def __init__(self, place: Place, calls: Sequence[tuple[Any, ...]], noted: Somebody, entry: str) -> None:
        self._place, self._calls, self._noted, self._entry = place, calls, noted, entry
        self._free: Queue[ldap3.Connection] = Queue()
        self._threads = ThreadPoolExecutor(place.threads)
        for _ in range(place.threads):
            self._free.put(place.connect())

    def rate(self, people: int) -> float:
        """Return how many people a second it makes and changes."""
        began = time.perf_counter()
        list(self._threads.map(self._replay, [Somebody() for _ in range(people)]))
        return people / (time.perf_counter() - began)

    def close(self) -> None:
        """Close its connections."""
        self._threads.shutdown()
        while not self._free.empty():
            self._free.get().unbind()

    def _replay(self, who: Somebody) -> None:
        connection = self._free.get()
        try:
            self._live(connection, who)
        finally:
            self._free.put(connection)

    def _live(self, connection: ldap3.Connection, who: Somebody) -> None:
        noted, done = self._noted, False
        names = {noted.login: who.login, str(noted.person): str(who.person), f"={noted.number})": f"={who.number})"}
        for call in self._calls:
            match call:
                case ("search", base, condition, attributes, scope, deleted):
                    done, _, found, _ = connection.search(
                        _with(base, names), _with(condition, names), (scope or Scope.SUBTREE).value,
                        attributes=list(attributes), controls=[DELETED] if deleted else None,
                    )  # fmt: skip
                    entry = self._place.id_of(found[0]["raw_attributes"]) if scope is Scope.BASE else None
                    if entry is not None:
                        names |= {self._entry: entry, _octets(UUID(self._entry)): _octets(UUID(entry))}
                case ("add", dn, classes, attributes):
                    values = {name: [_with(one, names) for one in given] for name, given in attributes.items() if given}
                    values["employeeNumber"] = [str(who.number)]
                    done, *_ = connection.add(_with(dn, names), list(classes), values)
                case ("modify", dn, modifications):
                    changes: dict[str, list[Any]] = {}
                    for one in modifications:
                        given = [_with(value, names) for value in one.values]
                        changes.setdefault(one.attribute, []).append((one.operation.value, given))
                    done, *_ = connection.modify(_with(dn, names), changes)
            assert done or call[0] == "search", call[0]


def _with(text: str | bytes, names: Mapping[str, str]) -> str | bytes:
    if isinstance(text, bytes):
        return text
    for old, new in names.items():
        text = text.replace(old, new)
    return text


def _octets(guid: UUID) -> str:
    return "".join(f"\\{octet:02x}" for octet in guid.bytes_le)


@pytest.mark.timeout(600)
async def test_accounts_are_made_and_changed(place: Place) -> None:
    accounts = place.accounts
    await _life(accounts, noted := Somebody())
    calls, place.directory.calls = place.directory.calls, []
    assert [call[0] for call in calls] == ["search", "add", "search", "search", "modify", "search"]
    found = (await accounts.find(Lookup(ORGANISATION, noted.person))).mine
    assert found is not None
    floor = Floor(place, calls, noted, found.entry)
    with figures.chapter(f"{place.name}: find, add, read back, find, change, read back"):
        await _ours(accounts, WARM_UP)
        await asyncio.to_thread(floor.rate, WARM_UP)
        ours, bare = [], []
        for _ in range(ROUNDS):
            ours.append(await _ours(accounts, place.people))
            bare.append(await asyncio.to_thread(floor.rate, place.people))
        figures.compare(f"{place.people} people", "people/s", ours, bare, target=0.7)
    floor.close()
    # both left as many, each in the state that the last change gave them
    pages = [page async for page in accounts.pages(ORGANISATION)]
    people = [one for page in pages for one in page if one.observed.user_name.startswith("bench")]
    assert len(people) == 1 + 2 * (WARM_UP + ROUNDS * place.people)
    assert {(one.observed.enabled, str(one.observed.mark)) for one in people} == {(True, "1.2")}
    assert {one.observed.attributes["title"] for one in people} == {("Rektor",)}
