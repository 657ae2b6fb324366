"""What the directory says, asked with OpenLDAP's own programs and never with Stafett's code."""

import base64
import re
import secrets
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.demo.patience import again
from deploy.local.server import BASE_ENVIRONMENT, write_private
from deploy.local.settings import ROOT
from deploy.local.slapd import SlapdServer

CLOSED = "20000101000000Z"
"""`pwdEndTime` of an account that is closed (deploy/openldap/README.md); a later one is when it expires."""

_INVALID_CREDENTIALS = 49
_AWAY = "Can't contact LDAP server"
_WRITES = "(|(cn=Add)(cn=Modify)(cn=Delete)(cn=Modrdn))"


class DirectoryToolError(RuntimeError):
    """One of OpenLDAP's programs failed; the message is the command and what it said."""


class DirectoryAwayError(DirectoryToolError):
    """Nobody answers there now; ask again."""


@dataclass(frozen=True)
class Ran:
    """A command and what it said."""

    command: str
    code: int
    output: str


class LdapServer:
    """A server asked as its administrator. Passwords stand in files: a command line can be read by everybody.

    Args:
        url: Where it is.
        environment: What OpenLDAP's programs need to trust it.
        admin: Who asks.
        password: The administrator's, and the file where it goes.
    """

    def __init__(self, url: str, environment: Mapping[str, str], admin: str, password: tuple[str, Path]) -> None:
        self._url = url
        self._environment = environment
        self._admin = admin
        self._admin_file = password[1]
        write_private(self._admin_file, password[0])

    def search(self, base: str, *search: str) -> tuple[Ran, list[Mapping[str, str]]]:
        """Search below `base`; return what was run, and the entries."""
        ran = self._run("ldapsearch", "-LLL", "-o", "ldif-wrap=no", *self._as_admin(), "-b", base, *search)
        return ran, [_attributes(entry) for entry in ran.output.split("\n\n") if entry.strip()]

    def _as_admin(self) -> list[str]:
        return ["-x", "-H", self._url, "-D", self._admin, "-y", _shown(self._admin_file)]

    def _run(self, program: str, *arguments: str, refusal: int = 0) -> Ran:
        return again(lambda: self._once(program, *arguments, refusal=refusal), DirectoryAwayError)

    def _once(self, program: str, *arguments: str, refusal: int) -> Ran:
        argv = [program, *arguments]
        environment = {**BASE_ENVIRONMENT, **self._environment}
        done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
        output = (done.stdout + done.stderr).strip()
        if done.returncode not in (0, refusal):
            message = f"{self._told(argv)}\nended with status {done.returncode}: {output[-1000:]}"
            raise (DirectoryAwayError if _AWAY in output else DirectoryToolError)(message)
        return Ran(self._told(argv), done.returncode, output)

    def _told(self, argv: list[str]) -> str:
        trust = (f"{name}={_shown(Path(value))}" for name, value in self._environment.items())
        return " ".join([*trust, shlex.join(argv)])


class Directory(LdapServer):
    """The tree of one organisation.

    Args:
        slapd: The server.
        base: The tree.
        folder: Where the files with passwords go.
    """

    def __init__(self, slapd: SlapdServer, base: str, folder: Path) -> None:
        password = (slapd.config.admin_password, folder / "ldap-admin-password")
        super().__init__(slapd.url, slapd.client_environment(), slapd.admin_dn(base), password)
        self._base = base
        self._people = f"ou=people,{base}"
        self._person_file = folder / "person-password"
        if not self._person_file.exists():
            write_private(self._person_file, secrets.token_urlsafe(12))

    def accounts(self) -> tuple[Ran, dict[str, bool]]:
        """Return employee number → whether a bind is let in, of all entries that Stafett manages."""
        asked = ("-s", "one", "(objectClass=stafettManaged)", "employeeNumber", "pwdEndTime")
        ran, entries = self.search(self._people, *asked)
        found = {entry.get("employeeNumber", entry["dn"]): entry.get("pwdEndTime") != CLOSED for entry in entries}
        disabled = sum(not enabled for enabled in found.values())
        told = f"{len(entries):,} entries, {disabled:,} of them with pwdEndTime {CLOSED}"
        return Ran(ran.command, ran.code, told), found

    def units(self) -> tuple[Ran, dict[str, str]]:
        """Return unit → where its entry stands, and tell how many people stand in units' groups."""
        ran, entries = self.search(f"ou=units,{self._base}", "(stafettUnitKind=entry)", "stafettUnit")
        asked = ("-s", "one", "(stafettUnitKind=unit)", "member")
        _, groups = self.search(f"ou=groups,{self._base}", *asked)
        found = {entry["stafettUnit"]: entry["dn"] for entry in entries}
        return Ran(ran.command, ran.code, f"{len(entries):,} units, each with its group ({len(groups):,})"), found

    def unit(self, *path: str) -> str:
        """Return where a unit's entry stands that is found below others; the path begins at the root."""
        return ",".join([*(f"ou={unit}" for unit in reversed(path)), "ou=units", self._base])

    def writes(self) -> tuple[Ran, dict[str, int]]:
        """Return how many writes of each kind slapd has completed since it started, by its own count."""
        ran, entries = self.search("cn=Operations,cn=Monitor", "-s", "one", _WRITES, "monitorOpCompleted")
        counts = {entry["dn"].split(",")[0].removeprefix("cn="): int(entry["monitorOpCompleted"]) for entry in entries}
        told = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
        return Ran(ran.command, ran.code, told), counts

    def entry(self, employee_number: str) -> str | None:
        """Return the distinguished name of a person's entry."""
        _, entries = self.search(self._people, "-s", "one", f"(employeeNumber={employee_number})", "1.1")
        return next((entry["dn"] for entry in entries), None)

    def set_password(self, entry: str) -> Ran:
        """Give the entry the demo's password, as an administrator of the directory."""
        return self._run("ldappasswd", *self._as_admin(), "-T", _shown(self._person_file), entry)

    def bind(self, entry: str) -> Ran:
        """Try to log in as the person with the demo's password; the code is 0 when it was let in, else 49."""
        argv = ["-x", "-H", self._url, "-D", entry, "-y", _shown(self._person_file)]
        return self._run("ldapwhoami", *argv, refusal=_INVALID_CREDENTIALS)


def _shown(file: Path) -> str:
    return str(file.relative_to(ROOT) if file.is_relative_to(ROOT) else file)


def _attributes(entry: str) -> Mapping[str, str]:
    """Read an entry in LDIF (RFC 2849) whose lines are not folded; of several values the last one stays."""
    found = {}
    for name, encoded, value in re.findall(r"^([\w;-]+):(:?) ?(.*)$", entry, re.MULTILINE):
        found[name] = base64.b64decode(value).decode() if encoded else value
    return found
