"""An installation as it runs for real (synced to disk), with a second database for the floors on the same servers."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import ldap3
import psycopg

from deploy.demo.dates import BUSINESS_DATE, MORNING
from deploy.demo.generator import Event, act_one, line
from deploy.demo.units import ALVSUND
from deploy.local.installation import SERVICES, Installation
from deploy.local.ports import Ports, free_ports
from deploy.local.server import listens
from deploy.local.servers import installed_major
from deploy.local.settings import ROOT
from deploy.migrate import migrate
from services.kernel.messaging.topology import VHOST, definitions
from tests.support.house import House, wait_until
from tests.support.servers import short_folder

TODAY = BUSINESS_DATE.isoformat()


class Site:
    """The house, its people, and what the floors need."""

    def __init__(self, house: House, folder: Path) -> None:
        self.house = house
        self.installation = house.installation
        self.organisation = house.organisations["alvsund"]
        self.folder = folder
        self._supply = act_one(ALVSUND, 200_000)
        self.units = [told.event for told in islice(self._supply, len(ALVSUND.units))]

    def people(self, count: int) -> list[Event]:
        """Return events about so many people of whom nothing has been said yet."""
        return [told.event for told in islice(self._supply, count)]

    def hires(self, count: int) -> list[Event]:
        """Return people who shall have an account at once, and no group: one permanent employment that holds today."""
        found: list[Event] = []
        while len(found) < count:
            for event in self.people(count):
                only = event["data"]["employments"][0]
                headmaster = any(one["title"] == "Rektor" for one in only["assignments"])
                if only["form"] == "permanent" and only["validFrom"] < TODAY and not only["validTo"] and not headmaster:
                    event["data"]["employments"] = [only]
                    found.append(event)
        return found[:count]

    def directory(self) -> Any:
        """Return a bare connection to the directory, bound as the service is; to be unbound."""
        slapd = self.installation.slapd
        server = ldap3.Server(slapd.url, get_info=ldap3.NONE)
        password = slapd.config.service_password
        connection = ldap3.Connection(server, slapd.service_dn, password, client_strategy=ldap3.SAFE_SYNC)
        assert connection.bind()[0]
        return connection

    def database(self, name: str) -> str:
        """Make a migrated database beside the real one; return the superuser's URL of it."""
        secrets = self.installation.secrets
        with self.house.admin() as conn:
            conn.execute(f"CREATE DATABASE {name}".encode())
        url = self.admin_url(name)
        passwords = {service: secrets.database_password(service) for service in SERVICES}
        migrate(url, passwords, offsets_allowed=True)
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute("UPDATE kernel.clock SET clock_offset = %s - now()", (MORNING,))
        return url

    def database_of(self, service: str, name: str) -> str:
        """Return a service's own URL of a database."""
        password = self.installation.secrets.database_password(service)
        return self.installation.postgres.url_for(service, password, name)

    def admin_url(self, name: str) -> str:
        """Return the superuser's URL of a database."""
        password = self.installation.secrets.server("postgres")
        return self.installation.postgres.url_for("postgres", password, name)

    def copy(self, source: str, name: str) -> None:
        """Copy a database that nobody is connected to."""
        with self.house.admin() as conn:
            conn.execute(f"CREATE DATABASE {name} TEMPLATE {source}".encode())

    def floor_broker(self, service: str) -> str:
        """Return a service's URL of the floors' virtual host, made alike when it is not there yet."""
        rabbit, passwords = self.installation.rabbitmq, self.installation.secrets.broker_passwords(SERVICES)
        path = rabbit.config.folder / "floor.json"
        if not path.exists():
            ours = json.dumps(definitions(passwords, broker_major=installed_major()))
            path.write_text(ours.replace(f'"{VHOST}"', '"floor"'))
            rabbit.control("import_definitions", str(path))
        return rabbit.url_for(service, passwords[service]).removesuffix(VHOST) + "floor"

    def bodies(self, name: str, events: Sequence[Event], *, batch: int = 1) -> Path:
        """Write request bodies, one a line: single events, or batches."""
        lines = [line(event) for event in events]
        if batch > 1:
            lines = [b"[" + b",".join(lines[at : at + batch]) + b"]" for at in range(0, len(lines), batch)]
        path = self.folder / f"{name}.bodies"
        path.write_bytes(b"\n".join(lines))
        return path


@contextmanager
def site(
    services: tuple[str, ...] = SERVICES, *, portal: bool = False, before: Callable[[Site], None] | None = None
) -> Iterator[Site]:
    """Start servers and services, at the demo's business time; with the pages too when asked for.

    `before` is called when the databases stand and nobody is connected to them yet.
    """
    with short_folder() as folder:
        installation = Installation(folder / "run", Ports.free(), durable=True, portal=portal)
        try:
            installation.prepare()
            for server in installation.servers:
                server.start()
            installation.migrate()
            house = House(installation)
            place = Site(house, folder)
            if before is not None:
                before(place)
            started = (*services, *installation.pages)
            for name in started:
                installation.services[name].launch()
            for name in started:
                if services == SERVICES:
                    installation.services[name].wait_ready(60)
                else:  # a relay waits for the queues of the others, so this one will never be ready
                    _wait(installation.ports.http[name])
            house.set_business_time(MORNING)
            yield place
        finally:
            installation.stop()


@contextmanager
def process(module: str, *arguments: str, port: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run a floor in a process of its own."""
    running = subprocess.Popen([sys.executable, "-m", f"tests.benchmarks.{module}", *arguments], cwd=ROOT)
    try:
        if port is not None:
            _wait(port)
        yield running
    finally:
        running.terminate()
        running.wait(20)


def free_port() -> int:
    """Choose a port."""
    return free_ports(1)[0]


def _wait(port: int) -> None:
    wait_until(lambda: listens(port), seconds=30)


def until(condition: Any, *, seconds: float, every: float = 0.02) -> float:
    """Wait for a condition; return when it held (time.perf_counter)."""
    deadline = time.perf_counter() + seconds
    while not condition():
        assert time.perf_counter() < deadline, "not in time"
        time.sleep(every)
    return time.perf_counter()
