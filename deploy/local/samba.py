"""A private Active Directory: a Samba domain controller that serves LDAP and LDAPS, and nothing else of a domain."""

import hashlib
import json
import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import ldap3
from ldap3.core.exceptions import LDAPException
from typing_extensions import override

from deploy.local.certificates import tls_files
from deploy.local.ports import LDAPS
from deploy.local.samba_conf import SERVICE, SambaConf, domain_wanted
from deploy.local.server import Server, ServerConfig, ServerMissingError, listens, write_private
from deploy.local.settings import ROOT
from deploy.local.slapd_conf import TlsFiles
from services.kernel.directory.encryption import StrictTls

_PROGRAM = Path("/usr/sbin/samba")
_PYTHON = Path("/usr/bin/python3")
"""Debian's own, which has Samba's library."""
_DOMAIN = ROOT / "deploy" / "samba" / "domain.py"
_PROVISIONING = Path("/usr/share/samba/setup/provision.ldif")


@dataclass(frozen=True, kw_only=True)
class SambaConfig(ServerConfig):
    """A private domain controller.

    Attributes:
        port: LDAPS: Samba serves it there and nowhere else.
        address: Where it listens, within 127.0.0.0/8.
        realm: The domain, for example `STAFETT.EXAMPLE`.
        bases: One organisational unit for each organisation, with one for people and one for groups below it; a new one
            is made at the next `prepare`.
        service_password: Of the service account, which may do everything below the bases and write nothing else.
        admin_password: Of the domain's administrator, for people.
        durable: False leaves out the sync after each write; a `kill -9` alone it survives.
        templates: Where fresh domains are kept to be copied (0.1 s; making one takes 6 s); None: it is made each time.
    """

    port: int = LDAPS
    address: str
    realm: str
    bases: tuple[str, ...]
    service_password: str
    admin_password: str
    durable: bool = True
    templates: Path | None = None


class SambaServer(Server[SambaConfig]):
    """Samba as an Active Directory domain controller. Only root can run it on a machine: its ports are below 1024."""

    name: ClassVar[str] = "samba"

    @property
    @override
    def url(self) -> str:
        """Without credentials: those are `service_dn` or `admin_dn` and their passwords."""
        port = "" if self.config.port == LDAPS else f":{self.config.port}"
        return f"ldaps://{self.address}{port}"

    @property
    @override
    def address(self) -> str:
        """An address of its own: Samba's ports cannot be chosen."""
        return self.config.address

    @property
    @override
    def pid_file(self) -> Path:
        """Written by Samba."""
        return self.config.folder / "run" / "samba.pid"

    @property
    def service_dn(self) -> str:
        """The identity that Stafett binds with, by its user principal name."""
        return f"{SERVICE}@{self.config.realm.lower()}"

    @property
    def admin_dn(self) -> str:
        """The identity that a person administers the domain with."""
        return f"administrator@{self.config.realm.lower()}"

    @property
    def ca_file(self) -> Path:
        """The authority behind its certificate."""
        return self._tls / "ca.crt"

    @override
    def prepare(self) -> None:
        """Write configuration and certificate, and make the domain and the organisational units that are not there."""
        installed()
        self._run_folder.mkdir(parents=True, exist_ok=True)
        tls = tls_files(self._tls, self.address)
        if not self._data.exists():
            with _whole(self._data) as data:
                self._furnish(data)
        write_private(self._conf, self.conf(tls).text())
        self._make(self._data)

    def conf(self, tls: TlsFiles) -> SambaConf:
        """Say what smb.conf shall hold."""
        return SambaConf(
            realm=self.config.realm,
            data=self._data,
            run=self._run_folder,
            tls=tls,
            address=self.address,
            durable=self.config.durable,
        )

    @property
    def wanted(self) -> str:
        """What the domain is made of, passwords too, as `deploy/samba/domain.py` reads it."""
        config = self.config
        passwords = (config.service_password, config.admin_password)
        return json.dumps(domain_wanted(config.realm, config.bases, *passwords))

    @override
    def command(self) -> list[str]:
        """Run it in the foreground."""
        return [str(_PROGRAM), "--interactive", "--debug-stdout", f"--configfile={self._conf}"]

    @override
    def ready(self) -> bool:
        """Bind as the service and read the root DSE."""
        if not listens(self.config.port, self.address):  # ldap3 leaks its socket when nobody answers
            return False
        server = ldap3.Server(self.url, get_info=ldap3.NONE, connect_timeout=2, tls=StrictTls(str(self.ca_file)))
        connection = ldap3.Connection(
            server, self.service_dn, self.config.service_password, client_strategy=ldap3.SAFE_SYNC, receive_timeout=5
        )
        opened = None
        try:
            connection.open(read_server_info=False)
            opened = connection.socket
            bound, *_ = connection.bind()
            found, *_ = connection.search("", "(objectClass=*)", ldap3.BASE, attributes=["defaultNamingContext"])
        except (LDAPException, OSError, ssl.SSLError):
            return False
        finally:
            connection.unbind()
            if opened is not None:
                opened.close()
        return bool(bound and found)

    @override
    def _after_end(self) -> None:
        """Wait for the workers, which end after the process that we started and still listen until then."""
        deadline = time.monotonic() + self.stop_seconds
        while listens(self.config.port, self.address) and time.monotonic() < deadline:
            time.sleep(0.02)

    @property
    def _data(self) -> Path:
        return self.config.folder / "data"

    @property
    def _tls(self) -> Path:
        return self.config.folder / "tls"

    @property
    def _run_folder(self) -> Path:
        return self.config.folder / "run"

    @property
    def _conf(self) -> Path:
        return self.config.folder / "smb.conf"

    def _furnish(self, data: Path) -> None:
        """Copy the domain from a template, which is made first when there is none."""
        if self.config.templates is None:
            self._make(data)
            return
        template = self.config.templates / self._recipe()
        if not template.exists():
            with _whole(template) as fresh:
                self._make(fresh)
        shutil.copytree(template, data, dirs_exist_ok=True)

    def _recipe(self) -> str:
        """Return what tells domains apart: how they are made, settings, passwords, and the version of Samba."""
        version = subprocess.run([_PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout
        return hashlib.sha256("\0".join((_DOMAIN.read_text(), version, self.wanted)).encode()).hexdigest()[:16]

    def _make(self, data: Path) -> None:
        """Make the domain, or the units of it that are not there."""
        self._run([str(_PYTHON), str(_DOMAIN), str(data)], stdin=self.wanted)


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """Give a folder to fill, which gets its name when it is whole; another that was quicker is left as it is."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    growing = folder.with_name(f"{folder.name}.{os.getpid()}")
    shutil.rmtree(growing, ignore_errors=True)
    growing.mkdir(mode=0o700)
    try:
        yield growing
        try:
            growing.rename(folder)
        except OSError:  # it is there, and not empty
            if not folder.exists():
                raise
    finally:
        shutil.rmtree(growing, ignore_errors=True)


def installed() -> None:
    """Refuse what cannot run here.

    Raises:
        ServerMissingError: Samba is not installed, or this is not root.
    """
    if not all(path.exists() for path in (_PROGRAM, _PYTHON, _PROVISIONING)):
        packages = "samba-ad-dc samba-ad-provision samba-dsdb-modules samba-vfs-modules winbind"
        message = f"Samba's domain controller is not installed (Debian packages: {packages}); STAFETT_AD=0 does without"
        raise ServerMissingError(message)
    if os.geteuid() != 0:
        message = "Samba's domain controller runs as root only; STAFETT_AD=0 does without"
        raise ServerMissingError(message)
