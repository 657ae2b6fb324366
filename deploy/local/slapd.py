"""A private OpenLDAP server with one directory tree for each organisation."""

import re
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

SERVICE_SUFFIX = "dc=stafett-services"
SERVICE_DN = f"cn=stafett,{SERVICE_SUFFIX}"
_SCHEMA = Path(__file__).parents[1] / "openldap" / "stafett.schema"
_INDEXED = "objectClass,uid,mail,cn,employeeNumber,stafettPerson,entryUUID"


@dataclass(frozen=True, kw_only=True)
class SlapdConfig(ServerConfig):
    """A private OpenLDAP server.

    Attributes:
        suffixes: One tree for each, for example `dc=alvsund,dc=se`; a new one is made at the next `prepare`.
        service_password: Of `SERVICE_DN`, which may write under all suffixes.
        admin_password: Of `cn=admin,<suffix>`, for people.
        durable: False leaves out the sync after each write; a `kill -9` alone it survives.
    """

    suffixes: tuple[str, ...]
    service_password: str
    admin_password: str
    durable: bool = True


class SlapdServer(Server[SlapdConfig]):
    """OpenLDAP with Stafett's schema, the password policy overlay and the monitor, on 127.0.0.1 only."""

    name: ClassVar[str] = "slapd"

    @property
    @override
    def url(self) -> str:
        """Without credentials: those are `SERVICE_DN` or `admin_dn` and their passwords."""
        return f"ldap://{HOST}:{self.config.port}"

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
        return f"cn=admin,{suffix}"

    @override
    def prepare(self) -> None:
        """Write the configuration, and make the trees that do not exist yet."""
        program("slapd")
        self.config.folder.mkdir(parents=True, exist_ok=True)
        self._folder(SERVICE_SUFFIX).mkdir(parents=True, exist_ok=True)
        new = [suffix for suffix in self.config.suffixes if not self._made(suffix).exists()]
        for suffix in new:
            shutil.rmtree(self._folder(suffix), ignore_errors=True)  # what an interrupted load has left
        for suffix in self.config.suffixes:
            self._folder(suffix).mkdir(parents=True, exist_ok=True)
        write_private(self._configuration_file, self._configuration())
        for suffix in new:
            load = [program("slapadd"), "-q", "-f", str(self._configuration_file), "-b", suffix]
            self._run(load, stdin=_skeleton(suffix))
            self._made(suffix).touch()

    @override
    def command(self) -> list[str]:
        """Run slapd in the foreground (`-d` does that, at any level)."""
        return [program("slapd"), "-f", str(self._configuration_file), "-h", f"{self.url}/", "-d", "0"]

    @override
    def ready(self) -> bool:
        """Bind as the service and read the root DSE."""
        if not listens(self.config.port):  # ldap3 leaks its socket when nobody answers
            return False
        server = ldap3.Server(HOST, self.config.port, get_info=ldap3.NONE, connect_timeout=2)
        connection = ldap3.Connection(
            server, SERVICE_DN, self.config.service_password, client_strategy=ldap3.SAFE_SYNC, receive_timeout=3
        )
        try:
            bound, *_ = connection.bind()
            found, *_ = connection.search("", "(objectClass=*)", ldap3.BASE, attributes=["namingContexts"])
        except LDAPException:
            return False
        finally:
            connection.unbind()
        return bool(bound and found)

    @property
    def _configuration_file(self) -> Path:
        return self.config.folder / "slapd.conf"

    def _folder(self, suffix: str) -> Path:
        return self.config.folder / "data" / re.sub(r"[^a-z0-9]+", "-", suffix.lower())

    def _made(self, suffix: str) -> Path:
        return self._folder(suffix).with_suffix(".made")

    def _configuration(self) -> str:
        parts = [self._preamble(), self._service_database()]
        parts += [self._database(suffix) for suffix in self.config.suffixes]
        parts.append(self._monitor())
        return "\n".join(parts)

    def _preamble(self) -> str:
        schemas = ["core", "cosine", "inetorgperson"]
        includes = "\n".join(f"include /etc/ldap/schema/{schema}.schema" for schema in schemas)
        return f"""{includes}
include "{_SCHEMA}"
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
pidfile "{self.pid_file}"
loglevel none
# A session that was bound before its account was disabled goes on: do not let it idle for ever.
idletimeout 300
sizelimit 500
"""

    def _service_database(self) -> str:
        # It stays empty: its rootdn is how a service that belongs to no tree can log in.
        return f"""database mdb
suffix "{SERVICE_SUFFIX}"
directory "{self._folder(SERVICE_SUFFIX)}"
rootdn "{SERVICE_DN}"
rootpw "{self.config.service_password}"
"""

    def _database(self, suffix: str) -> str:
        sync = "" if self.config.durable else "dbnosync\n"
        return f"""database mdb
suffix "{suffix}"
directory "{self._folder(suffix)}"
maxsize 1073741824
{sync}rootdn "{self.admin_dn(suffix)}"
rootpw "{self.config.admin_password}"
index {_INDEXED} eq
limits dn.exact="{SERVICE_DN}" size=unlimited time=unlimited
access to attrs=userPassword
  by dn.exact="{SERVICE_DN}" manage
  by self =xw
  by anonymous auth
access to *
  by dn.exact="{SERVICE_DN}" manage
  by self read
overlay ppolicy
# Without an effective policy slapd stores pwdEndTime and ignores it.
ppolicy_default "cn=default,ou=policies,{suffix}"
"""

    def _monitor(self) -> str:
        admins = "".join(f'  by dn.exact="{self.admin_dn(suffix)}" read\n' for suffix in self.config.suffixes)
        return f"""database monitor
access to *
  by dn.exact="{SERVICE_DN}" read
{admins}  by * none
"""


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


def _skeleton(suffix: str) -> str:
    """Write what every tree starts with: its root, people, units and the password policy."""
    attribute, _, rest = suffix.partition("=")
    kinds = {"dc": "domain", "o": "organization"}
    if attribute not in kinds:
        message = f"a suffix begins with dc= or o=, not {suffix!r}"
        raise ServerFailedError(message)
    root = f"dn: {suffix}\nobjectClass: {kinds[attribute]}\n{attribute}: {rest.partition(',')[0]}\n"
    units = [
        f"dn: ou={ou},{suffix}\nobjectClass: organizationalUnit\nou: {ou}\n" for ou in ("people", "units", "policies")
    ]
    policy = (
        f"dn: cn=default,ou=policies,{suffix}\nobjectClass: organizationalRole\nobjectClass: pwdPolicy\n"
        "cn: default\npwdAttribute: userPassword\n"
    )
    return "\n".join([root, *units, policy])
