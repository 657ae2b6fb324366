"""The servers that tests run against.

Each is resolved in this order: a `STAFETT_TEST_*_URL` in the environment, a private local server on a free port, one in
a container, a skip with its reason, which is a failure in CI. `RUNTIME=docker` puts containers before private servers.
"""

import base64
import hashlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn
from urllib.parse import urlsplit

import psycopg
import pytest

from deploy.local.ports import LDAPS, free_address, free_ports
from deploy.local.postgres import binaries
from deploy.local.samba import installed
from deploy.local.servers import (
    ON_THIS_MACHINE,
    PostgresConfig,
    PostgresServer,
    PrometheusConfig,
    PrometheusServer,
    RabbitConfig,
    RabbitServer,
    SambaConfig,
    SambaServer,
    Server,
    ServerConfig,
    ServerKinds,
    ServerMissingError,
    SlapdConfig,
    SlapdServer,
    installed_major,
)
from deploy.local.settings import ROOT
from deploy.local.slapd import program
from services.kernel.directory import DirectoryAccess
from tests.support.containers import IN_CONTAINERS, engine
from tests.support.settings import RunSettings

SUFFIXES = ("dc=alvsund,dc=se", "dc=bergby,dc=se")
PASSWORD = "test-only"
UNITS = ("OU=alvsund,DC=stafett,DC=example", "OU=bergby,DC=stafett,DC=example")
COMPLEX_PASSWORD = "Test-only-1"


def skip_or_fail(reason: str) -> NoReturn:
    """Skip the test with a reason; in CI, where nothing may be left out unseen, fail."""
    if RunSettings().ci:
        pytest.fail(reason)
    pytest.skip(reason)


def server_kinds() -> ServerKinds:
    """Choose private servers or containers, each server for itself."""
    if RunSettings().runtime == "docker":
        return IN_CONTAINERS
    private, contained = ON_THIS_MACHINE, IN_CONTAINERS
    rabbitmq = _chosen(installed_major)
    return ServerKinds(
        postgres=contained.postgres if _chosen(binaries) else private.postgres,
        rabbitmq=contained.rabbitmq if rabbitmq else private.rabbitmq,
        slapd=contained.slapd if _chosen(lambda: program("slapd")) else private.slapd,
        samba=contained.samba if _chosen(installed) else private.samba,
        broker_major=contained.broker_major if rabbitmq else private.broker_major,
    )


def _chosen(look: Callable[[], object]) -> bool:
    """Say whether a server must run in a container: it is not installed, and Docker is."""
    try:
        look()
    except ServerMissingError:
        try:
            engine()
        except ServerMissingError:
            return False
        return True
    return False


class ServerUnderTest:
    """What tests may do to a server. One that somebody else runs can be used, but not be killed.

    A test that kills or pauses a shared server leaves it running and ready (`start`, `resume`).
    """

    def __init__(self, url: str, server: Server[ServerConfig] | None) -> None:
        self.url = url
        self._server = server

    @property
    def _own(self) -> Server[ServerConfig]:
        if self._server is None:
            skip_or_fail(f"{self.url.partition('://')[0]} is run by somebody else and cannot be killed by a test")
        return self._server

    def kill9(self) -> None:
        """Kill it and all its children with SIGKILL."""
        self._own.kill9()

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        self._own.pause()

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._own.resume()

    def start(self) -> None:
        """Start it and wait until it is ready; nothing happens when it runs."""
        self._own.start()

    def stop(self) -> None:
        """Stop it cleanly."""
        self._own.stop()

    def restart(self) -> None:
        """Stop it cleanly and start it again."""
        self._own.restart()


class PostgresUnderTest(ServerUnderTest):
    """PostgreSQL; `url` is a superuser's."""

    def url_for(self, database: str) -> str:
        """Give the superuser's URL for another database."""
        return urlsplit(self.url)._replace(path=f"/{database}").geturl()

    @contextmanager
    def database(self) -> Iterator[str]:
        """Make a new, empty database, give the superuser's URL for it, and drop it afterwards."""
        name = f"test_{secrets.token_hex(6)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            yield self.url_for(name)
        finally:
            with psycopg.connect(self.url, autocommit=True) as connection:
                connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())


class RabbitUnderTest(ServerUnderTest):
    """RabbitMQ with one virtual host and one user, who may do everything in it."""

    def wipe_data(self) -> None:
        """Delete everything the stopped or killed broker remembers; its definitions load again at the next start."""
        own = self._own
        assert isinstance(own, RabbitServer)
        own.wipe_data()

    def control(self, *arguments: str) -> str:
        """Run rabbitmqctl and give its output."""
        own = self._own
        assert isinstance(own, RabbitServer)
        return own.control(*arguments)


class SlapdUnderTest(ServerUnderTest):
    """OpenLDAP with a tree for each suffix, one service account and an admin for each tree."""

    def __init__(self, url: str, server: Server[ServerConfig] | None, settings: RunSettings) -> None:
        super().__init__(url, server)
        self.suffixes = settings.ldap_suffixes
        self.service_dn = settings.ldap_bind_dn
        self.service_password = settings.ldap_password
        self.admin_password = settings.ldap_admin_password

    def admin_dn(self, suffix: str) -> str:
        """Give the identity of the person who administers this tree."""
        return f"cn=admin,{suffix}"


class SambaUnderTest(ServerUnderTest):
    """Active Directory with a unit for each organisation, a service account for them, and an administrator."""

    def __init__(self, url: str, server: Server[ServerConfig] | None, settings: RunSettings) -> None:
        super().__init__(url, server)
        self.bases = settings.ad_bases
        self.service_dn = settings.ad_bind_dn
        self.service_password = settings.ad_password
        self.admin_dn = settings.ad_admin_dn
        self.admin_password = settings.ad_admin_password
        self.ca_file = settings.ad_ca_file

    def access(self, **values: Any) -> DirectoryAccess:
        """Give the service's access to it."""
        about = {"ca_file": self.ca_file, "active_directory": True, **values}
        return DirectoryAccess(self.url, self.service_dn, self.service_password, **about)

    def admin_access(self, **values: Any) -> DirectoryAccess:
        """Give the administrator's access to it, who may do everything in the domain."""
        return replace(self.access(**values), bind_dn=self.admin_dn, password=self.admin_password)


def private_postgres(folder: Path, *, durable: bool = False) -> PostgresServer:
    """Describe a PostgreSQL of one's own on a free port."""
    (port,) = free_ports(1)
    return server_kinds().postgres(PostgresConfig(folder=folder, port=port, password=PASSWORD, durable=durable))


def private_rabbitmq(folder: Path) -> RabbitServer:
    """Describe a RabbitMQ of one's own on free ports, with the virtual host `stafett` and the user `test`."""
    port, epmd, dist = free_ports(3)
    return server_kinds().rabbitmq(
        RabbitConfig(
            folder=folder,
            port=port,
            epmd_port=epmd,
            dist_port=dist,
            definitions=minimal_definitions("test", PASSWORD),
            user="test",
            password=PASSWORD,
            cookie=secrets.token_hex(16),
        )
    )


def private_slapd(folder: Path, *, durable: bool = False) -> SlapdServer:
    """Describe an OpenLDAP of one's own on a free port."""
    (port,) = free_ports(1)
    config = SlapdConfig(
        folder=folder,
        port=port,
        suffixes=SUFFIXES,
        service_password=PASSWORD,
        admin_password=PASSWORD,
        durable=durable,
    )
    return server_kinds().slapd(config)


def private_samba(folder: Path, *, durable: bool = False) -> SambaServer:
    """Describe an Active Directory of one's own on a free address."""
    return server_kinds().samba(
        SambaConfig(
            folder=folder,
            address=free_address(LDAPS),
            realm="STAFETT.EXAMPLE",
            bases=UNITS,
            service_password=COMPLEX_PASSWORD,
            admin_password=COMPLEX_PASSWORD,
            durable=durable,
            templates=ROOT / ".tools" / "samba",
        )
    )


def private_prometheus(folder: Path) -> PrometheusServer:
    """Describe a Prometheus of one's own on a free port, with one target that is not there."""
    port, nobody = free_ports(2)
    return PrometheusServer(PrometheusConfig(folder=folder, port=port, targets={"nobody": nobody}))


def minimal_definitions(user: str, password: str, vhost: str = "stafett") -> dict[str, object]:
    """Write broker definitions with one virtual host and one user, who may do everything in it."""
    salt = secrets.token_bytes(4)
    hashed = base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
    return {
        "vhosts": [{"name": vhost}],
        "users": [
            {
                "name": user,
                "password_hash": hashed,
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": "",
                "limits": {},
            }
        ],
        "permissions": [{"user": user, "vhost": vhost, "configure": ".*", "write": ".*", "read": ".*"}],
    }


@contextmanager
def short_folder() -> Iterator[Path]:
    """Make a folder for a server, which its own system user may enter, and delete it afterwards."""
    with TemporaryDirectory(prefix="stafett-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


@contextmanager
def running(server: Server[ServerConfig]) -> Iterator[None]:
    """Run a private server; skip, or fail in CI, when it is not installed."""
    try:
        server.start()
    except ServerMissingError as missing:
        skip_or_fail(str(missing))
    try:
        yield
    finally:
        server.resume()
        server.stop()


@contextmanager
def resolve_postgres() -> Iterator[PostgresUnderTest]:
    """Find or start the PostgreSQL of this test session."""
    if url := RunSettings().postgres_url:
        yield PostgresUnderTest(url, None)
        return
    with short_folder() as folder:
        server = private_postgres(folder / "postgres")
        with running(server):
            yield PostgresUnderTest(server.url, server)


@contextmanager
def resolve_rabbitmq() -> Iterator[RabbitUnderTest]:
    """Find or start the RabbitMQ of this test session."""
    if url := RunSettings().rabbitmq_url:
        yield RabbitUnderTest(url, None)
        return
    with short_folder() as folder:
        server = private_rabbitmq(folder / "rabbitmq")
        with running(server):
            yield RabbitUnderTest(server.url, server)


@contextmanager
def resolve_slapd() -> Iterator[SlapdUnderTest]:
    """Find or start the OpenLDAP of this test session."""
    settings = RunSettings()
    if settings.ldap_url:
        yield SlapdUnderTest(settings.ldap_url, None, settings)
        return
    own = settings.model_copy(
        update={"ldap_suffixes": SUFFIXES, "ldap_password": PASSWORD, "ldap_admin_password": PASSWORD}
    )
    with short_folder() as folder:
        server = private_slapd(folder / "slapd")
        with running(server):
            yield SlapdUnderTest(server.url, server, own)


@contextmanager
def resolve_samba() -> Iterator[SambaUnderTest]:
    """Find or start the Active Directory of this test session."""
    settings = RunSettings()
    if settings.ad_url:
        yield SambaUnderTest(settings.ad_url, None, settings)
        return
    with short_folder() as folder:
        server = private_samba(folder / "samba")
        own = settings.model_copy(
            update={
                "ad_bases": UNITS,
                "ad_bind_dn": server.service_dn,
                "ad_password": COMPLEX_PASSWORD,
                "ad_admin_dn": server.admin_dn,
                "ad_admin_password": COMPLEX_PASSWORD,
                "ad_ca_file": str(server.ca_file),
            }
        )
        with running(server):
            yield SambaUnderTest(server.url, server, own)
