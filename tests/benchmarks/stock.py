"""A register and a directory that agree, as many people as one wants: made beside the services, which only read it."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import ldap3
from typing_extensions import override

from contracts.codes import AccountState, Form, Reason
from contracts.person import Assignment, CoreRecord, Employment, Name, PersonChanged
from services.accounts.adapters.openldap import OBJECT_CLASSES
from services.accounts.adapters.windows_attributes import proxies, theirs
from services.accounts.adapters.windows_control import NORMAL, PASSWORD_NOT_REQUIRED
from services.accounts.domain.names import PLAIN, Blocklist, Naming
from services.accounts.handlers.intake import PERSON
from services.accounts.handlers.situation import TABLE, Reader, wants
from services.accounts.settings import BLOCKLIST
from services.accounts.store import names
from services.accounts.store.ledger import Wants
from services.accounts.store.names import LOGIN, MAIL, Want
from services.kernel.clock import business_now
from services.kernel.database import Database
from services.kernel.directory import Directory
from services.kernel.directory.encryption import StrictTls
from services.kernel.messaging import inputs
from services.kernel.messaging.inputs import Input
from services.kernel.policy import PolicyBook
from services.kernel.settings import OrganisationSettings, load_organisations
from tests.integration.accounts.harness import TARGET, access, clear, organisations_of
from tests.support.kernel import ROOT, database_url, migrated
from tests.support.servers import SambaUnderTest, SlapdUnderTest

NOW = datetime(2027, 3, 15, 11, tzinfo=UTC)
BATCH = 500
Item = TypeVar("Item")


@dataclass
class Stock:
    """A database, a directory, and whom they hold."""

    database: Database
    directory: Directory
    server: SlapdUnderTest | SambaUnderTest
    organisations: dict[str, OrganisationSettings]
    wants: Wants
    people: list[UUID] = field(default_factory=list)
    target = TARGET

    @property
    def base(self) -> str:
        """The organisation's tree."""
        return self.organisations["alvsund"].targets[self.target]

    @property
    def bases(self) -> Mapping[str, str]:
        """Every organisation's tree."""
        return {key: value.targets[self.target] for key, value in self.organisations.items()}

    async def reader(self) -> Reader:
        """Return what reads situations."""
        policy = PolicyBook(ROOT / "deploy/policy", sorted(self.organisations))
        async with self.database.transaction() as conn:
            await policy.start(conn, TABLE)
        return Reader(self.target, self.organisations, policy, self._want)

    async def registered(self, count: int) -> None:
        """Let HR have told of so many people, each with names of their own."""
        for numbers in batched(range(len(self.people), len(self.people) + count), BATCH):
            people = [uuid4() for _ in numbers]
            async with self.database.transaction() as conn:
                await inputs.store(
                    conn, [_told(person, number) for person, number in zip(people, numbers, strict=True)]
                )
                wanted = [
                    self._want("alvsund", person, kind, _stem(number))
                    for person, number in zip(people, numbers, strict=True)
                    for kind in (LOGIN, MAIL)
                ]
                await names.reserve(conn, wanted)
            self.people += people

    async def filled(self, *, marked: bool) -> None:
        """Make every account as it shall be, with its mark and row, or as somebody else had made it."""
        reader = await self.reader()
        with ThreadPoolExecutor(4) as threads:
            for people in batched(self.people, BATCH):
                async with self.database.transaction() as conn:
                    now = await business_now(conn)
                    known = await reader.glance(conn, [("alvsund", person) for person in people], now)
                rows = []
                for (_, person), one in known.items():
                    wanted = one.desired(now, one.names)
                    assert wanted.names is not None
                    rows.append(self.made(person, wanted.names.login, wanted.attributes, marked=marked))
                await asyncio.to_thread(self._add_all, threads, rows)
                if marked:
                    await self._verified(people, now)

    def made(
        self, person: UUID, login: str, wanted: Mapping[str, tuple[str, ...]], *, marked: bool
    ) -> tuple[str, Sequence[str], Mapping[str, Any]]:
        """Return an account as the tree has it: name, classes, attributes."""
        attributes = {name: list(values) for name, values in wanted.items() if values}
        attributes["uid"] = [login]
        if marked:
            attributes |= {
                "stafettPerson": [str(person)],
                "stafettOrganisation": ["alvsund"],
                "stafettMark": ["1.1"],
                "stafettRevision": ["1"],
            }
        classes = OBJECT_CLASSES if marked else OBJECT_CLASSES[:-1]
        return f"uid={login},ou=people,{self.base}", classes, attributes

    def connection(self) -> Any:
        """Return a bare connection of an administrator's, not bound yet."""
        assert isinstance(self.server, SlapdUnderTest)
        server = ldap3.Server(self.server.url, get_info=ldap3.NONE)
        password = self.server.admin_password
        return ldap3.Connection(server, self.server.admin_dn(self.base), password, client_strategy="SAFE_SYNC")

    def _add_all(self, threads: ThreadPoolExecutor, rows: Sequence[Any]) -> None:
        list(threads.map(self._add, batched(rows, BATCH // 4)))

    def _add(self, rows: Any) -> None:
        connection = self.connection()
        assert connection.bind()[0]
        for dn, classes, attributes in rows:
            done = connection.add(dn, list(classes), attributes)
            assert done[0], done[1]
        connection.unbind()

    async def _verified(self, people: tuple[UUID, ...], now: datetime) -> None:
        async with self.database.transaction() as conn:
            await conn.execute(
                "INSERT INTO account (organisation, person, target, state, user_name, generation, version, changed_at,"
                " verified_at, known, enabled_from) SELECT 'alvsund', person, %s, %s, person::text, 1, 1,"
                " %s - interval '1 hour', %s - interval '1 hour', true, %s FROM unnest(%b::uuid[]) AS p (person)",
                (self.target, AccountState.ENABLED.value, now, now, now, list(people)),
            )

    def _want(self, organisation: str, person: UUID, kind: str, stem: str, naming: Naming = PLAIN) -> Want:
        return self.wants(organisation, person, kind, stem, naming)


def batched(items: Sequence[Item], size: int) -> Iterator[tuple[Item, ...]]:
    """Yield the items so many at a time."""
    return (tuple(items[at : at + size]) for at in range(0, len(items), size))


def _told(person: UUID, number: int) -> Input:
    place = Assignment(unit="100", title="Lärare", valid_from=date(2020, 1, 1))
    job = Employment(
        id=uuid4(), form=Form.PERMANENT, valid_from=date(2020, 1, 1), employee_number=str(10_000 + number),
        assignments=(place,), baseline=True,
    )  # fmt: skip
    core = CoreRecord(name=Name(given="Anna", family=_family(number)), employments=(job,))
    data = PersonChanged(
        organisation="alvsund", person=person, revision=1, case_id=uuid4(), reason=Reason.HIRE,
        effective_at=NOW, accepted_at=NOW, record=core,
    )  # fmt: skip
    return Input(PERSON, "alvsund", str(person), 1, 1, data.model_dump_json(by_alias=True).encode())


def _family(number: int) -> str:
    letters = str.maketrans("0123456789", "aeioubdklm")
    return f"B{number:06}".translate(letters).capitalize()


def _stem(number: int) -> str:
    return f"anna.{_family(number).lower()}"


class WindowsStock(Stock):
    """The same in Active Directory."""

    target = "active_directory"

    @override
    def made(
        self, person: UUID, login: str, wanted: Mapping[str, tuple[str, ...]], *, marked: bool
    ) -> tuple[str, Sequence[str], Mapping[str, Any]]:
        mails = wanted["mail"]
        attributes = {
            **{name: list(values) for name, values in theirs(wanted).items() if values},
            "mail": mails[0], "proxyAddresses": list(proxies(mails)), "sAMAccountName": login,
            "userPrincipalName": f"{login}@stafett.example",
            # without a password, which takes the domain longer than all the rest
            "userAccountControl": str(NORMAL | PASSWORD_NOT_REQUIRED),
        }  # fmt: skip
        mark = {"adminDescription": f"stafett:alvsund:{person}:1.1"} if marked else {}
        return f"CN={login},OU=people,{self.base}", ["user"], attributes | mark

    @override
    def connection(self) -> Any:
        assert isinstance(self.server, SambaUnderTest)
        server = ldap3.Server(self.server.url, get_info=ldap3.NONE, tls=StrictTls(self.server.ca_file))
        who = (self.server.admin_dn, self.server.admin_password)
        return ldap3.Connection(server, *who, client_strategy="SAFE_SYNC")


@asynccontextmanager
async def windows_stock(samba: SambaUnderTest, admin_url: str) -> AsyncIterator[WindowsStock]:
    """A unit of a domain and a new database."""
    await asyncio.to_thread(migrated, admin_url)
    database = Database(database_url(admin_url, "accounts"), name="accounts")
    directory = Directory(samba.access())
    await database.open()
    try:
        own = load_organisations(ROOT / "deploy/local/organisations.toml")["alvsund"]
        organisations = {"alvsund": replace(own, targets={WindowsStock.target: samba.bases[0]})}
        want = wants(organisations, Blocklist.parse(BLOCKLIST.read_text(encoding="utf-8")))
        yield WindowsStock(database, directory, samba, organisations, want)
    finally:
        await directory.close()
        await database.close()


@asynccontextmanager
async def stock(slapd: SlapdUnderTest, admin_url: str) -> AsyncIterator[Stock]:
    """An emptied tree and a new database."""
    await asyncio.to_thread(migrated, admin_url)
    database = Database(database_url(admin_url, "accounts"), name="accounts")
    directory = Directory(access(slapd))
    await database.open()
    try:
        for base in slapd.suffixes:
            await clear(directory, base)
        organisations = organisations_of(slapd, 50)
        want = wants(organisations, Blocklist.parse(BLOCKLIST.read_text(encoding="utf-8")))
        yield Stock(database, directory, slapd, organisations, want)
    finally:
        await directory.close()
        await database.close()


def peak_megabytes() -> float:
    """Return the largest resident size since `reset_peak` (proc(5), VmHWM)."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def reset_peak() -> None:
    """Let the peak be measured anew (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")
