"""The only reader of the environment, and of the file of targets that it names."""

import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from services.kernel.erasure import long_enough
from services.kernel.settings import OrganisationSettings, ServiceSettings

BLOCKLIST = Path(__file__).with_name("blocklist.txt")


class Settings(ServiceSettings):
    """What accounts needs beyond what every service has; all names begin with STAFETT_.

    `targets`: the file that says how each target is reached. `erasure_key`: what erased people's names are hashed
    with, the same as ingestion's. `activation_key`: what activation codes are hashed with; with another one, codes that
    are out are worth nothing, and without one none are issued. `password_length`: the least number of characters of
    a password that people choose; the targets' own policies judge it besides. `drift_hours`: how often every target is
    read whole. `loop_writes`: how often the same is written to an account in a day before it is left to a person.
    """

    targets: Path
    erasure_key: Annotated[SecretStr, AfterValidator(long_enough)] = SecretStr("")
    activation_key: Annotated[SecretStr, AfterValidator(long_enough)] = SecretStr("")
    password_length: int = Field(default=12, ge=8, le=64)
    policy_dir: Path
    blocklist: Path = BLOCKLIST
    drift_hours: float = Field(default=24, gt=0, le=24 * 31)
    loop_writes: int = Field(default=5, ge=2)


WRITES = "manager"
"""What is written since there were accounts that have not got it: who is known is looked at when this grows."""


MARK_ATTRIBUTES = (
    r"^(adminDescription|info|extensionAttribute([1-9]|1[0-5])|msDS-cloudExtensionAttribute([1-9]|1[0-9]|20))$"
)
"""Attributes of Active Directory's schema (and Exchange's) that hold one value: compare-and-set needs that."""


class _Target(BaseModel):
    """What every target has.

    `mode`: what may be done there. `subtrees`: only accounts below one of these are written, when there are any.
    `staged`: nothing but marks is written for people of units that have not gone live there. `drift`: what becomes of
    an attribute that another hand has changed (without a rule: report).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["write", "dry_run", "read_only"] = "write"
    subtrees: tuple[str, ...] = ()
    staged: bool = False
    drift: Mapping[str, Literal["reclaim", "accept", "report"]] = {}
    secret_file: Path

    @property
    def rules(self) -> str:
        """Digest what decides which writes are let through, and what is written at all."""
        written = f"{self.mode} {self.staged} {self.subtrees} {WRITES}"
        return hashlib.sha256(written.encode()).hexdigest()[:16]

    @property
    def secret(self) -> str:
        """What the secret file holds, without the line end."""
        return self.secret_file.read_text(encoding="utf-8").rstrip("\r\n")


class LdapTarget(_Target):
    """A directory that speaks LDAP: OpenLDAP, or one domain controller of Active Directory.

    `threads`: calls to it at a time. `timeout`: seconds to wait for an answer, at most an eighth of `lease_seconds`: a
    call must be over well before the lease is. `secret_file`: the password of `bind_dn`. `upn_suffixes`: what follows
    the `@` in Active Directory's user principal names, by organisation; without one, the domain's name.
    `mark_attribute`: which attribute of Active Directory is ours to mark accounts in; another where others use it.
    """

    kind: Literal["openldap", "active_directory"]
    url: str = Field(pattern=r"^ldaps?://")
    bind_dn: str
    ca_file: str | None = None
    start_tls: bool = False
    threads: int = Field(default=8, ge=1, le=64)
    timeout: int = Field(default=5, ge=1, le=20)
    upn_suffixes: dict[str, str] = {}
    mark_attribute: str = Field(default="adminDescription", pattern=MARK_ATTRIBUTES)

    @model_validator(mode="after")
    def _encrypted(self) -> Self:
        if self.kind == "active_directory" and not (self.start_tls or self.url.startswith("ldaps://")):
            raise ValueError("Active Directory takes no password in the clear: use ldaps:// or start_tls")
        return self


class EntraTarget(_Target):
    """A tenant of Microsoft Entra ID, reached by Microsoft Graph (deploy/entra/README.md).

    `authority`: with the tenant's id. `secret_file`: the client's secret, or PEM with private key and certificate.
    `timeout`: as of a directory. `share`: of the published write budget, where other processes use the same
    application. `sign_in`: by primary address or by login. `usage_location`: the country that licences ask for.
    `write_mail`: false where Exchange is the one that gives addresses. The attributes are those two that are ours.
    """

    kind: Literal["entra"]
    client_id: str
    authority: str = Field(pattern=r"^https://")
    url: str = Field(default="https://graph.microsoft.com/v1.0", pattern=r"^https://")
    ca_file: str | None = None
    proxy: str | None = None
    timeout: int = Field(default=5, ge=1, le=20)
    connections: int = Field(default=16, ge=1, le=64)
    share: float = Field(default=1.0, gt=0, le=1)
    sign_in: Literal["mail", "login"] = "mail"
    usage_location: str | None = Field(default=None, pattern=r"^[A-Z]{2}$")
    write_mail: bool = True
    person_attribute: str = Field(default="extensionAttribute15", pattern=r"^extensionAttribute([1-9]|1[0-5])$")
    closing_attribute: str = Field(default="extensionAttribute14", pattern=r"^extensionAttribute([1-9]|1[0-5])$")

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.person_attribute == self.closing_attribute:
            raise ValueError("person_attribute and closing_attribute are the same")
        return self


Target = LdapTarget | EntraTarget
_TARGET: TypeAdapter[Target] = TypeAdapter(Annotated[Target, Field(discriminator="kind")])


class TargetsRefused(Exception):
    """The file of targets cannot be used; the message names the file, the target and the reason."""


def load_targets(path: Path, organisations: Iterable[OrganisationSettings]) -> Mapping[str, Target]:
    """Read the file of targets: a section each, named as organisations name it. Paths in it are relative to the file.

    Raises:
        TargetsRefused: It is missing or malformed, or an organisation names a target that it does not have.
    """
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise TargetsRefused(f"{path}: {error}") from error
    found: dict[str, Target] = {}
    for name, values in rows.items():
        try:
            target = _TARGET.validate_python(values)
        except ValidationError as error:
            raise TargetsRefused(f"{path}: [{name}]: {error}") from error
        secret = path.parent / target.secret_file
        if not secret.is_file():
            raise TargetsRefused(f"{path}: [{name}]: secret_file {secret} is not there")
        found[name] = target.model_copy(update={"secret_file": secret})
    for organisation in organisations:
        if unknown := sorted(organisation.targets.keys() - found.keys()):
            raise TargetsRefused(f"{path}: [{unknown[0]}] is missing; {organisation.key} has it among its targets")
    return MappingProxyType(found)
