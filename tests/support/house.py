"""A whole private installation for end-to-end and chaos tests, used through its public doors.

The oracle reads the directory with OpenLDAP's own `ldapsearch`, never our tables, and knows what should be there from
the events alone.
"""

import base64
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from deploy.local.installation import Installation
from deploy.local.issuer import ALL_SCOPES
from deploy.local.ports import Ports
from deploy.local.server import BASE_ENVIRONMENT, ServerMissingError
from deploy.local.settings import ROOT
from services.kernel.settings import load_organisations
from tests.support.servers import server_kinds, short_folder, skip_or_fail

STOCKHOLM = ZoneInfo("Europe/Stockholm")
PAST = "20000101000000Z"
LEASE = "8"


@dataclass(frozen=True)
class Entry:
    """An account as the directory has it."""

    dn: str
    uid: str
    disabled: bool
    attributes: Mapping[str, tuple[str, ...]]


class House:
    """An installation under test; business time can be moved."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.organisations = load_organisations(installation.organisations)
        self._tokens: dict[tuple[str, str], str] = {}

    def token(self, organisation: str = "alvsund", scopes: str | None = None) -> str:
        """Return a token for an organisation, with all scopes unless some are named."""
        key = (organisation, scopes or " ".join(ALL_SCOPES))
        if key not in self._tokens:
            self._tokens[key] = self.installation.issuer.mint(organisation, key[1].split(), subject="tester")
        return self._tokens[key]

    def request(
        self,
        method: str,
        service: str,
        path: str,
        body: Any = None,
        *,
        organisation: str = "alvsund",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Send a request through the front door; return status and parsed body."""
        port = self.installation.ports.http[service]
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={
                "Authorization": f"Bearer {self.token(organisation)}",
                "Content-Type": "application/json",
                **(headers or {}),
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def upload(self, path: str, file: Path, *, organisation: str = "alvsund") -> dict[str, Any]:
        """Send a file through the front door; return how it stands."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.installation.ports.http['ingestion']}{path}",
            data=file.read_bytes(),
            headers={"Authorization": f"Bearer {self.token(organisation)}", "Content-Type": "text/csv"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            found: dict[str, Any] = json.loads(answer.read())
            return found

    @contextmanager
    def stream(self, organisation: str = "alvsund") -> Iterator[Iterator[tuple[str, Any]]]:
        """Open the status API's stream; yield (event, data) as they come."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.installation.ports.http['status']}/v1/stream",
            headers={"Authorization": f"Bearer {self.token(organisation)}"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            yield _server_sent(answer)

    def post(self, events: Sequence[Mapping[str, Any]], *, organisation: str = "alvsund") -> list[dict[str, Any]]:
        """Send a batch, again and again until the door answers, as an HR system does; return the verdicts."""
        deadline = time.monotonic() + 60
        while True:
            try:
                status, body = self.request(
                    "POST",
                    "ingestion",
                    "/v1/events",
                    list(events),
                    organisation=organisation,
                    headers={"Content-Type": "application/cloudevents-batch+json"},
                )
            except OSError:
                status, body = 0, None
            if status == 200:
                results: list[dict[str, Any]] = body["results"]
                return results
            if status not in {0, 503} or time.monotonic() > deadline:
                raise AssertionError(f"{status}: {body}")
            time.sleep(0.1)

    def stafett(self, *arguments: str, organisation: str = "alvsund", code: int = 0) -> str:
        """Run the `stafett` command as a person would; return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "services.cli", "--lang", "en", *arguments],
            env={
                **BASE_ENVIRONMENT,
                **self.installation.client_environment(),
                "STAFETT_TOKEN": self.token(organisation),
                "COLUMNS": "200",
            },
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def admin(self) -> psycopg.Connection:
        """Return a superuser's connection."""
        return psycopg.connect(self.installation.postgres.url, autocommit=True)

    def set_business_time(self, instant: datetime) -> None:
        """Move business time for all services."""
        with self.admin() as conn:
            conn.execute("UPDATE kernel.clock SET clock_offset = %s - now()", (instant,))

    def directory(self, organisation: str = "alvsund") -> dict[str, Entry]:
        """Return all accounts by employee number, read by `ldapsearch` as the tree's administrator.

        A surplus account of a merged person has no number any more.
        """
        base = self.organisations[organisation].targets["openldap"]
        found: dict[str, Entry] = {}
        for dn, attributes in self.ldapsearch(base, "(&(uid=*)(employeeNumber=*))", "*", "pwdEndTime").items():
            number = attributes["employeeNumber"][0]
            assert number not in found, f"two accounts for {number}"
            found[number] = Entry(dn, attributes["uid"][0], attributes.get("pwdEndTime") == (PAST,), attributes)
        uids = [entry.uid for entry in found.values()]
        assert len(set(uids)) == len(uids)
        return found

    def ldapsearch(self, base: str, query: str, *attributes: str) -> dict[str, dict[str, tuple[str, ...]]]:
        """Run ldapsearch and return attributes by DN."""
        slapd = self.installation.slapd
        suffix = ",".join(part for part in base.split(",") if part.startswith("dc="))
        done = subprocess.run(
            [
                "ldapsearch",
                "-x",
                "-LLL",
                "-o",
                "ldif-wrap=no",
                "-H",
                slapd.url,
                "-D",
                slapd.admin_dn(suffix),
                "-w",
                slapd.config.admin_password,
                "-b",
                base,
                query,
                *attributes,
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        return dict(_entries(done.stdout))

    def binds(self, dn: str, password: str) -> bool:
        """Tell whether a person can log in, by OpenLDAP's own ldapwhoami."""
        done = subprocess.run(
            ["ldapwhoami", "-x", "-H", self.installation.slapd.url, "-D", dn, "-w", password],
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    def set_password(self, dn: str, password: str) -> None:
        """Give an account a password, as the directory's administrator."""
        slapd = self.installation.slapd
        suffix = ",".join(part for part in dn.split(",") if part.startswith("dc="))
        subprocess.run(
            [
                "ldappasswd",
                "-x",
                "-H",
                slapd.url,
                "-D",
                slapd.admin_dn(suffix),
                "-w",
                slapd.config.admin_password,
                "-s",
                password,
                dn,
            ],
            check=True,
            capture_output=True,
        )

    def ldap_tool(self, tool: str, text: str, organisation: str = "alvsund") -> None:
        """Run `ldapadd`, `ldapmodify` or `ldapdelete` as the tree's administrator, as a person at a keyboard would."""
        slapd = self.installation.slapd
        admin = slapd.admin_dn(self.organisations[organisation].targets["openldap"])
        subprocess.run(
            [tool, "-x", "-H", slapd.url, "-D", admin, "-w", slapd.config.admin_password],
            input=text,
            text=True,
            check=True,
            capture_output=True,
        )

    def writes(self) -> int:
        """Return slapd's own count of completed writes."""
        slapd = self.installation.slapd
        total = 0
        for operation in ("Add", "Modify", "Delete", "Modrdn"):
            done = subprocess.run(
                [
                    "ldapsearch",
                    "-x",
                    "-LLL",
                    "-H",
                    slapd.url,
                    "-D",
                    slapd.service_dn,
                    "-w",
                    slapd.config.service_password,
                    "-s",
                    "base",
                    "-b",
                    f"cn={operation},cn=Operations,cn=Monitor",
                    "monitorOpCompleted",
                ],
                capture_output=True,
                text=True,
                check=True,
            )
            total += int(done.stdout.rsplit("monitorOpCompleted: ", 1)[1].split()[0])
        return total

    def status_agrees(self, prefix: str) -> None:
        """Wait until the status API tells of each account with this number prefix what the directory holds."""
        entries = {n: entry for n, entry in self.directory().items() if n.startswith(prefix)}
        assert entries

        def differing() -> list[str]:
            return [number for number, entry in entries.items() if self._observed(entry) != entry.disabled]

        wait_until(lambda: not differing(), seconds=30, why=differing)

    def _observed(self, entry: Entry) -> bool | None:
        status, told = self.request("GET", "status", f"/v1/persons/{entry.attributes['stafettPerson'][0]}")
        if status != 200 or not told["targets"]:
            return None
        state: str = told["targets"][0]["observed"]
        return {"disabled": True, "enabled": False}.get(state)

    def busy(self) -> str | None:
        """Return what is under way, or None: outboxes empty, no work wanted, leased or retried."""
        with self.admin() as conn:
            for service in self.installation.service_names:
                row = conn.execute(
                    f"SELECT (SELECT count(*) FROM {service}.outbox WHERE published_at IS NULL),"
                    f" (SELECT count(*) FROM {service}.work WHERE wanted > done OR lease_until IS NOT NULL"
                    f" OR state = 'retrying'"
                    f" OR due_at <= now() + (SELECT clock_offset FROM kernel.clock)),"
                    f" (SELECT count(*) FROM kernel.replay_request WHERE done_at IS NULL)".encode()
                ).fetchone()
                if row != (0, 0, 0):
                    return f"{service}: {row}"
        return None

    def unfinished(self, service: str) -> list[tuple[object, ...]]:
        """Return the rows of work and of breakers that are not at rest, for who asks why something does not end."""
        with self.admin() as conn:
            work = conn.execute(
                f"SELECT kind, subject, target, state, wanted, done, lease_until, retry_at, problem FROM {service}.work"
                " WHERE state <> 'idle' OR wanted > done".encode()
            ).fetchall()
            return [*work, *conn.execute(f"SELECT * FROM {service}.breaker".encode()).fetchall()]

    def settled(self, *, seconds: float = 60) -> None:
        """Wait until nothing is under way, twice in a row."""
        quiet = 0

        def calm() -> bool:
            nonlocal quiet
            quiet = quiet + 1 if self.busy() is None else 0
            return quiet >= 4

        wait_until(calm, seconds=seconds, why=lambda: self.busy())

    def converges(
        self, expected: Callable[[], Mapping[str, str]], *, organisation: str = "alvsund", seconds: float = 90
    ) -> None:
        """Wait until the directory is the model: employee number to `enabled`, `disabled` or `closed`, and nobody else.

        `closed` is disabled or absent: who has left before we got to it never has an account made.
        """

        def difference() -> dict[str, tuple[str | None, str | None]]:
            try:
                there = {
                    number: "disabled" if entry.disabled else "enabled"
                    for number, entry in self.directory(organisation).items()
                }
            except subprocess.CalledProcessError:
                return {"directory": ("up", "away")}
            model = expected()
            return {
                key: (model.get(key), there.get(key))
                for key in model.keys() | there.keys()
                if not _agrees(model.get(key), there.get(key))
            }

        wait_until(lambda: not difference(), seconds=seconds, why=lambda: dict(list(difference().items())[:10]))


def accounts_of(house: House, person: str) -> list[dict[str, Any]]:
    """What the status API tells of somebody's accounts, by target."""
    detail = house.request("GET", "status", f"/v1/persons/{person}")[1]
    return [one for one in detail["targets"] if one["service"] == "accounts"]


def wait_until(condition: Callable[[], bool], *, seconds: float, why: Callable[[], object] = lambda: None) -> None:
    """Wait for a condition; fail with a reason."""
    deadline = time.monotonic() + seconds
    while not _holds(condition):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {why()}")
        time.sleep(0.1)


def _agrees(model: str | None, there: str | None) -> bool:
    return there in {"disabled", None} if model == "closed" else model == there


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except (psycopg.OperationalError, OSError):
        return False


def _server_sent(lines: Iterable[bytes]) -> Iterator[tuple[str, Any]]:
    name = "message"
    for line in lines:
        key, _, value = line.decode().rstrip("\n").partition(": ")
        if key == "event":
            name = value
        elif key == "data":
            yield name, json.loads(value)


def _entries(ldif: str) -> Iterator[tuple[str, dict[str, tuple[str, ...]]]]:
    for block in ldif.strip().split("\n\n"):
        attributes: dict[str, list[str]] = {}
        for line in block.splitlines():
            name, _, value = line.partition(":")
            if value.startswith(":"):
                value = base64.b64decode(value[1:].strip()).decode()
            attributes.setdefault(name, []).append(value.strip())
        if "dn" in attributes:
            yield attributes.pop("dn")[0], {name: tuple(values) for name, values in attributes.items()}


@contextmanager
def running_house(
    *,
    guard_limit: int | None = None,
    observed: bool = False,
    portal: bool = False,
    active_directory: bool = False,
    graph: bool = False,
    kept_here: bool = False,
    **variables: str,
) -> Iterator[House]:
    """Start an installation in a temporary folder and take it down afterwards.

    Args:
        guard_limit: How many may lose something in 24 hours, in every organisation; no share then.
        observed: With a Prometheus that watches it.
        portal: Whether it has the pages, and a provider to sign in at.
        active_directory: With a Samba domain controller, in which all people have an account too.
        graph: With a simulated tenant of Entra ID, in which all people have an account too.
        kept_here: Whether Bergby keeps its units here, and not in HR's system.
        variables: More environment for every service.
    """
    with short_folder() as folder:
        installation = Installation(
            Path(folder) / "run",
            Ports.free(),
            durable=False,
            organisations=_organisations(folder, guard_limit, kept_here=kept_here),
            variables={"STAFETT_LEASE_SECONDS": LEASE, **variables},
            observed=observed,
            portal=portal,
            active_directory=active_directory,
            graph=graph,
            kinds=server_kinds(),
        )
        try:
            try:
                installation.start()
            except ServerMissingError as missing:
                skip_or_fail(str(missing))
            yield House(installation)
        finally:
            installation.stop()


def _organisations(folder: Path, guard_limit: int | None, *, kept_here: bool) -> Path:
    """Write the table of organisations; in it Älvsund has a place in every target that the installation runs."""
    delivered = ROOT / "deploy/local/organisations.toml"
    file, text = folder / "organisations.toml", delivered.read_text()
    if guard_limit is not None:
        limits = f"guard_limit = {guard_limit}\nguard_share = 0.0\n"
        text = text.replace('zone = "Europe/Stockholm"\n', f'zone = "Europe/Stockholm"\n{limits}')
    if kept_here:
        text = text.replace("[bergby]\n", '[bergby]\norganisation_data = "stafett"\n')
    places = {"active_directory": "OU=alvsund,DC=stafett,DC=example", "entra": "alvsund.example"}
    line = 'targets.openldap = "dc=alvsund,dc=example"\n'
    assert line in text
    text = text.replace(line, line + "".join(f'targets.{name} = "{place}"\n' for name, place in places.items()))
    file.write_text(text)
    return file


def at(day: str, clock: str = "09:00") -> datetime:
    """Return an instant in Stockholm."""
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=STOCKHOLM)


def soon(days: int, *, base: str = "2026-03-02") -> str:
    """Return a date relative to the pinned business date."""
    return (datetime.fromisoformat(base) + timedelta(days=days)).date().isoformat()
