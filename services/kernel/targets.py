"""The file of targets: how each is reached and what may be done there. Organisations say where theirs stands in it."""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from services.kernel.directory import DirectoryAccess, GraphAccess
from services.kernel.settings import OrganisationSettings

PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----", re.DOTALL)

UnitObject = Literal["entry", "unit", "managers", "rollup"]
"""What stands in a target for a unit: its entry, and groups."""


def _title(value: str) -> str:
    try:
        value.format(id="", name="", organisation="")
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise ValueError("may hold {id}, {name} and {organisation}, and no other braces") from error
    return value


def _name(value: str) -> str:
    if "{id}" not in value:
        raise ValueError("must hold {id}: two units may have one name")
    return _title(value)


Title = Annotated[str, AfterValidator(_title)]
Name = Annotated[str, AfterValidator(_name)]

MARK_ATTRIBUTES = (
    r"^(adminDescription|info|extensionAttribute([1-9]|1[0-5])|msDS-cloudExtensionAttribute([1-9]|1[0-9]|20))$"
)
"""Attributes of Active Directory's schema (and Exchange's) that hold one value: compare-and-set needs that."""


class UnitsSection(BaseModel):
    """What orgtree does with units in a target; a target without this section has none of ours.

    `mode`: what may be done with units, where the target itself may be written. `placement`: all units' entries beside
    each other, or each below its parent's. `groups`: of a unit's people, of its managers, and of its group and those
    of the units below it. `names` and `titles`: how each kind of object is called, and what people read; `{id}`,
    `{name}` and `{organisation}` are the unit's. A name holds `{id}`: names of units are not their own. `protected`:
    who has a protected identity is left out of our groups, or joins as others do: a group shows where members work.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["write", "dry_run", "read_only"] = "write"
    placement: Literal["flat", "by_unit"] = "flat"
    groups: frozenset[Literal["unit", "managers", "rollup"]] = frozenset({"unit", "managers"})
    protected: Literal["leave_out", "join"] = "leave_out"
    names: Mapping[UnitObject, Name] = {}
    titles: Mapping[UnitObject, Title] = {}


class _Target(BaseModel):
    """What every target has.

    `mode`: what may be done there. `subtrees`: only accounts below one of these are written, when there are any.
    `staged`: nothing but marks is written for people of units that have not gone live there. `drift`: what becomes of
    an attribute that another hand has changed (without a rule: report). `units`: what is done with units.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["write", "dry_run", "read_only"] = "write"
    subtrees: tuple[str, ...] = ()
    staged: bool = False
    units: UnitsSection | None = None
    drift: Mapping[str, Literal["reclaim", "accept", "report"]] = {}
    secret_file: Path

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
    `units`: their groups, which have no place; a fifth of the budget is theirs.
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

    @model_validator(mode="after")
    def _groups_alone(self) -> Self:
        if self.units is not None and self.units.placement != "flat":
            raise ValueError("units.placement: units have no entries in Entra ID, only groups")
        if self.units is not None and not self.units.groups:
            raise ValueError("units.groups: without a group nothing of units stands in Entra ID")
        return self


UNITS_SHARE = 0.2
"""How much of a tenant's budget of writes is for units, where they stand there."""

Target = LdapTarget | EntraTarget
_TARGET: TypeAdapter[Target] = TypeAdapter(Annotated[Target, Field(discriminator="kind")])


class TargetsRefused(Exception):
    """The file of targets cannot be used; the message names the file, the target and the reason."""


def load_targets(
    path: Path, organisations: Iterable[OrganisationSettings], *, reached: Callable[[Target], bool] = lambda _: True
) -> Mapping[str, Target]:
    """Read the file of targets: a section each, named as organisations name it. Paths in it are relative to the file.

    Args:
        path: The file.
        organisations: Who names targets.
        reached: Which are reached from here: only their secrets have to be there.

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
        if reached(target) and not secret.is_file():
            raise TargetsRefused(f"{path}: [{name}]: secret_file {secret} is not there")
        found[name] = target.model_copy(update={"secret_file": secret})
    for organisation in organisations:
        if unknown := sorted(organisation.targets.keys() - found.keys()):
            raise TargetsRefused(f"{path}: [{unknown[0]}] is missing; {organisation.key} has it among its targets")
    return MappingProxyType(found)


def graph_access(target: EntraTarget, lease_seconds: float, *, units: bool = False) -> GraphAccess:
    """Return how we reach a tenant for accounts or for units; a PEM secret is the private key and the certificate."""
    part = UNITS_SHARE if units else 1 - UNITS_SHARE if target.units is not None else 1.0
    blocks = {found[1]: found[0] for found in PEM.finditer(target.secret)}
    private = next((block for label, block in blocks.items() if label.endswith("PRIVATE KEY")), None)
    return GraphAccess(
        url=target.url,
        authority=target.authority,
        client_id=target.client_id,
        secret=None if private else target.secret,
        private_key=private,
        certificate=blocks.get("CERTIFICATE"),
        ca_file=target.ca_file,
        proxy=target.proxy,
        timeout=min(target.timeout, max(1, int(lease_seconds / 8))),
        connections=target.connections,
        share=target.share * part,
    )


def directory_access(target: LdapTarget, lease_seconds: float) -> DirectoryAccess:
    """Return how we reach a directory.

    A pass observes and writes before it is cut off at 80 % of the lease (executor): a short lease means short calls.
    """
    share = max(1, int(lease_seconds / 8))
    return DirectoryAccess(
        url=target.url,
        bind_dn=target.bind_dn,
        password=target.secret,
        ca_file=target.ca_file,
        start_tls=target.start_tls,
        connect_timeout=min(2, share),
        receive_timeout=min(target.timeout, share),
        threads=target.threads,
        active_directory=target.kind == "active_directory",
    )
