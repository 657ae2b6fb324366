"""A private Active Directory: a Samba domain controller that serves LDAP and LDAPS, and nothing else of a domain."""

import hashlib
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
from deploy.local.server import Server, ServerConfig, ServerMissingError, listens, write_private
from services.kernel.directory.encryption import StrictTls

SERVICE = "stafett"
_CONTROLLER = "dc1"
_PROGRAM = Path("/usr/sbin/samba")
_TOOL = Path("/usr/bin/samba-tool")
_PROVISIONING = Path("/usr/share/samba/setup/provision.ldif")
# What a pass looks up has to be indexed, and whose a deleted account was has to be seen (searchFlags, [MS-ADTS] 2.2.9).
_SEARCH_FLAGS = {"Employee-Number": "fATTINDEX", "Admin-Description": "fATTINDEX,fPRESERVEONDELETE"}
_RECIPE = "1"
"""Rises when what is made below changes: then templates are made anew."""


@dataclass(frozen=True, kw_only=True)
class SambaConfig(ServerConfig):
    """A private domain controller.

    Attributes:
        port: LDAPS; any other than 636 only in a container.
        address: Where it listens, within 127.0.0.0/8.
        realm: The domain, for example `STAFETT.EXAMPLE`.
        bases: One organisational unit for each organisation, with one for people and one for groups below it; a new one
            is made at the next `prepare`.
        service_password: Of the service account, which may do everything below the bases and write nothing else.
        admin_password: Of the domain's administrator, for people.
        durable: False leaves out the sync after each write; a `kill -9` alone it survives.
        templates: Where fresh domains are kept to be copied (0.1 s; making one takes 8 s); None: it is made each time.
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
    """Samba as an Active Directory domain controller. Only root can run it: its ports are below 1024."""

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
        _installed()
        self._run_folder.mkdir(parents=True, exist_ok=True)
        tls_files(self._tls, self.address)
        if not self._data.exists():
            with _whole(self._data) as data:
                self._furnish(data)
        write_private(self._conf, self._conf_text(self._data))
        self._make_bases(self._data, self._conf)

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
            self._provision(data)
            return
        template = self.config.templates / self._recipe()
        if not template.exists():
            with _whole(template) as fresh:
                self._provision(fresh)
        shutil.copytree(template, data, dirs_exist_ok=True)

    def _recipe(self) -> str:
        """Return what tells domains apart: settings, passwords, and the version of Samba."""
        config = self.config
        version = subprocess.run([_PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout
        parts = (_RECIPE, version, config.realm, *config.bases, config.service_password, config.admin_password)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    def _provision(self, data: Path) -> None:
        config = self.config
        self._run(
            [
                str(_TOOL), "domain", "provision", f"--realm={config.realm}",
                f"--domain={config.realm.partition('.')[0][:15]}", "--server-role=dc", "--dns-backend=NONE",
                f"--host-name={_CONTROLLER}", f"--host-ip={self.address}", f"--adminpass={config.admin_password}",
                f"--targetdir={data}", "--option=ldb:nosync=true",
            ]
        )  # fmt: skip
        conf = data / "making.conf"
        write_private(conf, self._conf_text(data, making=True))
        for attribute, flags in _SEARCH_FLAGS.items():
            self._tool(data, conf, "schema", "attribute", "modify", attribute, f"--searchflags={flags}")
        self._tool(data, conf, "user", "create", SERVICE, config.service_password)
        self._tool(data, conf, "user", "setexpiry", SERVICE, "--noexpiry")
        self._make_bases(data, conf)
        conf.unlink()

    def _make_bases(self, data: Path, conf: Path) -> None:
        """Make the units that are not there, and let the service account do everything below them."""
        made = data / "bases.made"
        known = set(made.read_text().splitlines()) if made.exists() else set[str]()
        for base in self.config.bases:
            if base in known:
                continue
            for unit in (base, f"OU=people,{base}", f"OU=groups,{base}"):
                self._tool(data, conf, "ou", "create", unit)
            shown = self._tool(data, conf, "user", "show", SERVICE, "--attributes=objectSid")
            sid = shown.partition("objectSid: ")[2].split()[0]
            self._tool(data, conf, "dsacl", "set", f"--objectdn={base}", f"--sddl=(A;CI;GA;;;{sid})")
            known.add(base)
            made.write_text("".join(f"{one}\n" for one in sorted(known)))

    def _tool(self, data: Path, conf: Path, *arguments: str) -> str:
        """Run samba-tool on the domain's own files."""
        database = data / "private" / "sam.ldb"
        return self._run([str(_TOOL), *arguments, f"--URL={database}", f"--configfile={conf}"])

    def _conf_text(self, data: Path, *, making: bool = False) -> str:
        """Return smb.conf (smb.conf(5)): LDAP only, on one address."""
        config = self.config
        values = {
            "netbios name": _CONTROLLER,
            "realm": config.realm,
            "workgroup": config.realm.partition(".")[0][:15],
            "server role": "active directory domain controller",
            "server services": "ldap",
            "interfaces": f"{self.address}/8",
            "bind interfaces only": "yes",
            "private dir": data / "private",
            "lock directory": data,
            "state directory": data / "state",
            "cache directory": data / "cache",
            "binddns dir": data / "bind-dns",
            "pid directory": self._run_folder,
            "ncalrpc dir": self._run_folder / "ncalrpc",
            "log level": 1,
            "tls enabled": "yes",
            "tls keyfile": self._tls / "server.key",
            "tls certfile": self._tls / "server.crt",
            "tls cafile": self._tls / "ca.crt",
            "ldb:nosync": "no" if config.durable and not making else "yes",
            "dsdb:schema update allowed": "yes" if making else "no",
        }
        lines = [f"    {name} = {value}\n" for name, value in values.items()]
        shares = {"sysvol": data / "state" / "sysvol", "netlogon": data / "state" / "sysvol"}
        parts = [f"[{name}]\n    path = {path}\n    read only = no\n" for name, path in shares.items()]
        return "".join(["[global]\n", *lines, *parts])


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


def _installed() -> None:
    """Refuse what cannot run here.

    Raises:
        ServerMissingError: Samba is not installed, or this is not root.
    """
    if not all(path.exists() for path in (_PROGRAM, _TOOL, _PROVISIONING)):
        packages = "samba-ad-dc samba-ad-provision samba-dsdb-modules samba-vfs-modules winbind"
        message = f"Samba's domain controller is not installed (Debian packages: {packages}); STAFETT_AD=0 does without"
        raise ServerMissingError(message)
    if os.geteuid() != 0:
        message = "Samba's domain controller runs as root only; STAFETT_AD=0 does without"
        raise ServerMissingError(message)
