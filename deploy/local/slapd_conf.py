"""The configuration of an OpenLDAP server for Stafett: slapd.conf and the first entries of each tree, as text.

Used for the private server of this machine and for the container; a server of one's own can follow it.
"""

import re
from dataclasses import dataclass
from pathlib import Path

SERVICE_SUFFIX = "dc=stafett-services"
SERVICE_DN = f"cn=stafett,{SERVICE_SUFFIX}"
_INDEXED = "objectClass,uid,mail,cn,employeeNumber,stafettPerson,stafettUnit,entryUUID,member,ou"


class WrongSuffixError(ValueError):
    """A tree's suffix is neither dc= nor o=; the message says which."""


@dataclass(frozen=True, kw_only=True)
class TlsFiles:
    """Where a server finds its certificate, its key, and the authority that clients trust."""

    ca: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, kw_only=True)
class SlapdConf:
    """What slapd.conf says.

    Attributes:
        schema: Stafett's schema file.
        data: The folder with a folder for each database.
        pid_file: Written by slapd.
        suffixes: One tree for each.
        service_password: Of `SERVICE_DN`, which may write under all suffixes.
        admin_password: Of `cn=admin,<suffix>`, for people.
        durable: False leaves out the sync after each write.
        tls: With it no password is taken over a connection that is not encrypted.
    """

    schema: Path
    data: Path
    pid_file: Path
    suffixes: tuple[str, ...]
    service_password: str
    admin_password: str
    durable: bool = True
    tls: TlsFiles | None = None

    def text(self) -> str:
        """Return slapd.conf (slapd.conf(5))."""
        parts = [self._preamble(), self._service_database()]
        parts += [self._database(suffix) for suffix in self.suffixes]
        parts.append(self._monitor())
        return "\n".join(parts)

    def folder(self, suffix: str) -> Path:
        """Return the folder of a tree's database."""
        return self.data / folder_name(suffix)

    def _preamble(self) -> str:
        schemas = ["core", "cosine", "inetorgperson"]
        includes = "\n".join(f"include /etc/ldap/schema/{schema}.schema" for schema in schemas)
        return f"""{includes}
include "{self.schema}"
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
pidfile "{self.pid_file}"
loglevel none
# A session that was bound before its account was disabled goes on: do not let it idle for ever.
idletimeout 300
sizelimit 500
{self._encryption()}"""

    def _encryption(self) -> str:
        if self.tls is None:
            return ""
        return f"""TLSCACertificateFile "{self.tls.ca}"
TLSCertificateFile "{self.tls.certificate}"
TLSCertificateKeyFile "{self.tls.key}"
TLSProtocolMin 3.3
# No password in the clear: a simple bind needs TLS, by ldaps:// or by StartTLS.
security simple_bind=128
"""

    def _service_database(self) -> str:
        # It stays empty: its rootdn is how a service that belongs to no tree can log in.
        return f"""database mdb
suffix "{SERVICE_SUFFIX}"
directory "{self.folder(SERVICE_SUFFIX)}"
rootdn "{SERVICE_DN}"
rootpw "{self.service_password}"
"""

    def _database(self, suffix: str) -> str:
        sync = "" if self.durable else "dbnosync\n"
        return f"""database mdb
suffix "{suffix}"
directory "{self.folder(suffix)}"
maxsize 1073741824
{sync}rootdn "{admin_dn(suffix)}"
rootpw "{self.admin_password}"
index {_INDEXED} eq
limits dn.exact="{SERVICE_DN}" size=unlimited time=unlimited
# write, not manage: who manages passwords is above the password policy, and people choose them through the service
access to attrs=userPassword
  by dn.exact="{SERVICE_DN}" write
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
        admins = "".join(f'  by dn.exact="{admin_dn(suffix)}" read\n' for suffix in self.suffixes)
        return f"""database monitor
access to *
  by dn.exact="{SERVICE_DN}" read
{admins}  by * none
"""


def admin_dn(suffix: str) -> str:
    """Return the identity that a person administers this tree with."""
    return f"cn=admin,{suffix}"


def folder_name(suffix: str) -> str:
    """Return the name of a tree's database folder."""
    return re.sub(r"[^a-z0-9]+", "-", suffix.lower())


def skeleton(suffix: str) -> str:
    """Return what every tree starts with, as LDIF: its root, people, units, the password policy, and a group.

    The group is the one that deploy/policy/birthright.json gives; as every groupOfNames needs a member, it is its own.

    Raises:
        WrongSuffixError: The suffix does not begin with dc= or o=.
    """
    attribute, _, rest = suffix.partition("=")
    kinds = {"dc": "domain", "o": "organization"}
    if attribute not in kinds:
        message = f"a suffix begins with dc= or o=, not {suffix!r}"
        raise WrongSuffixError(message)
    root = f"dn: {suffix}\nobjectClass: {kinds[attribute]}\n{attribute}: {rest.partition(',')[0]}\n"
    units = [
        f"dn: ou={ou},{suffix}\nobjectClass: organizationalUnit\nou: {ou}\n"
        for ou in ("people", "units", "groups", "policies")
    ]
    policy = (
        f"dn: cn=default,ou=policies,{suffix}\nobjectClass: organizationalRole\nobjectClass: pwdPolicy\n"
        "cn: default\npwdAttribute: userPassword\npwdCheckQuality: 2\npwdMinLength: 12\n"
    )
    heads = (
        f"dn: cn=rektorer,ou=groups,{suffix}\nobjectClass: groupOfNames\ncn: rektorer\n"
        f"member: cn=rektorer,ou=groups,{suffix}\n"
    )
    return "\n".join([root, *units, policy, heads])
