"""A private OpenLDAP server with one directory tree for each organisation."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import ldap3
from ldap3.core.exceptions import LDAPException
from typing_extensions import override

from deploy.local.server import (
    HOST,
    Server,
    ServerConfig,
    ServerFailedError,
    ServerMissingError,
    listens,
    write_private,
)
from deploy.local.slapd_conf import SERVICE_DN, SERVICE_SUFFIX, SlapdConf, TlsFiles, WrongSuffixError, skeleton
from deploy.local.slapd_conf import admin_dn as admin_of
from services.kernel.directory.encryption import StrictTls

_SCHEMA = Path(__file__).parents[1] / "openldap" / "stafett.schema"


@dataclass(frozen=True, kw_only=True)
class SlapdConfig(ServerConfig):
    """A private OpenLDAP server.

    Attributes:
        suffixes: One tree for each, for example `dc=alvsund,dc=se`; a new one is made at the next `prepare`.
        service_password: Of `SERVICE_DN`, which may write under all suffixes.
        admin_password: Of `cn=admin,<suffix>`, for people.
        durable: False leaves out the sync after each write; a `kill -9` alone it survives.
        tls: The server's certificate; with it passwords travel encrypted or not at all.
        ldaps: The port speaks TLS from the first byte; otherwise a client with a password must ask for StartTLS.
    """

    suffixes: tuple[str, ...]
    service_password: str
    admin_password: str
    durable: bool = True
    tls: TlsFiles | None = None
    ldaps: bool = False


class SlapdServer(Server[SlapdConfig]):
    """OpenLDAP with Stafett's schema, the password policy overlay and the monitor, on 127.0.0.1 only."""

    name: ClassVar[str] = "slapd"

    @property
    @override
    def url(self) -> str:
        """Without credentials: those are `SERVICE_DN` or `admin_dn` and their passwords."""
        return f"{'ldaps' if self.config.ldaps else 'ldap'}://{HOST}:{self.config.port}"

    @property
    @override
    def pid_file(self) -> Path:
        """Written by slapd."""
        return self.config.folder / "slapd.pid"

    @property
    def service_dn(self) -> str:
        """The identity that Stafett binds with."""
        return SERVICE_DN

    def admin_dn(self, suffix: str) -> str:
        """The identity that a person administers this tree with."""
        return admin_of(suffix)

    def client_environment(self) -> dict[str, str]:
        """Give what OpenLDAP's own programs need in their environment to trust this server (ldap.conf(5))."""
        return {} if self.config.tls is None else {"LDAPTLS_CACERT": str(self.config.tls.ca)}

    @override
    def prepare(self) -> None:
        """Write the configuration, and make the trees that do not exist yet."""
        program("slapd")
        conf = self.conf()
        self.config.folder.mkdir(parents=True, exist_ok=True)
        conf.folder(SERVICE_SUFFIX).mkdir(parents=True, exist_ok=True)
        new = [suffix for suffix in self.config.suffixes if not self._made(suffix).exists()]
        for suffix in new:
            shutil.rmtree(conf.folder(suffix), ignore_errors=True)  # what an interrupted load has left
        for suffix in self.config.suffixes:
            conf.folder(suffix).mkdir(parents=True, exist_ok=True)
        write_private(self._configuration_file, conf.text())
        for suffix in new:
            load = [program("slapadd"), "-q", "-f", str(self._configuration_file), "-b", suffix]
            self._run(load, stdin=first_entries(suffix))
            self._made(suffix).touch()

    def conf(self) -> SlapdConf:
        """Say what slapd.conf shall hold."""
        return SlapdConf(
            schema=_SCHEMA,
            data=self.config.folder / "data",
            pid_file=self.pid_file,
            suffixes=self.config.suffixes,
            service_password=self.config.service_password,
            admin_password=self.config.admin_password,
            durable=self.config.durable,
            tls=self.config.tls,
        )

    @override
    def command(self) -> list[str]:
        """Run slapd in the foreground (`-d` does that, at any level)."""
        return [program("slapd"), "-f", str(self._configuration_file), "-h", f"{self.url}/", "-d", "0"]

    @override
    def ready(self) -> bool:
        """Bind as the service and read the root DSE."""
        if not listens(self.config.port):  # ldap3 leaks its socket when nobody answers
            return False
        tls = self.config.tls
        trust = None if tls is None else StrictTls(str(tls.ca))
        server = ldap3.Server(self.url, get_info=ldap3.NONE, connect_timeout=2, tls=trust)
        connection = ldap3.Connection(
            server, SERVICE_DN, self.config.service_password, client_strategy=ldap3.SAFE_SYNC, receive_timeout=3
        )
        opened = None
        try:
            connection.open(read_server_info=False)
            opened = connection.socket
            if tls is not None and not self.config.ldaps:
                connection.start_tls(read_server_info=False)
                opened = connection.socket
            bound, *_ = connection.bind()
            found, *_ = connection.search("", "(objectClass=*)", ldap3.BASE, attributes=["namingContexts"])
        except (LDAPException, OSError):
            return False
        finally:
            connection.unbind()
            if opened is not None:  # which ldap3 forgets when whoever listens there hangs up at once
                opened.close()
        return bool(bound and found)

    @property
    def _configuration_file(self) -> Path:
        return self.config.folder / "slapd.conf"

    def _made(self, suffix: str) -> Path:
        return self.conf().folder(suffix).with_suffix(".made")


def program(name: str) -> str:
    """Find one of slapd's programs.

    Raises:
        ServerMissingError: slapd is not installed.
    """
    path = Path("/usr/sbin") / name
    if not path.exists():
        message = "OpenLDAP is not installed (Debian packages: slapd slapd-contrib ldap-utils)"
        raise ServerMissingError(message)
    return str(path)


def first_entries(suffix: str) -> str:
    """Return what a tree starts with, as LDIF.

    Raises:
        ServerFailedError: It cannot be a tree.
    """
    try:
        return skeleton(suffix)
    except WrongSuffixError as wrong:
        raise ServerFailedError(str(wrong)) from wrong
