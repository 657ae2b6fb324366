"""Settings that every service has, and the table of organisations. Services read the environment here only."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsConfigDict
from typing_extensions import override


class SettingsWithSecrets(BaseSettings):
    """Settings from `STAFETT_*` in the environment, else from a file of that name in `/run/secrets`.

    That is where Docker and Kubernetes mount secrets; a file's name may be in lower case, a line end is cut off.
    """

    SECRETS: ClassVar[Path] = Path("/run/secrets")

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read files where there are any; a missing folder is not worth a warning."""
        del dotenv_settings, file_secret_settings
        files = (SecretsSettingsSource(settings_cls, cls.SECRETS),) if cls.SECRETS.is_dir() else ()
        return (init_settings, env_settings, *files)


class ProcessSettings(SettingsWithSecrets):
    """What every process reads from `STAFETT_*`.

    `metrics_port`: where Prometheus scrapes, 0 for nowhere; on `metrics_host`, by default the API's. `otlp_endpoint`:
    the OpenTelemetry collector (`http://host:4318`), none for no traces; `trace_ratio` of the traces that begin here
    are kept. `trusted_proxies`: addresses and networks, with commas, whose word for a client's
    address (`X-Forwarded-For`) is taken.
    """

    model_config = SettingsConfigDict(env_prefix="STAFETT_", extra="ignore", frozen=True)

    environment: Literal["production", "development"] = "production"
    database_url: str
    organisations: Path
    jwks: str
    issuer: str
    audience: str = "stafett"
    http_host: str = "127.0.0.1"
    http_port: int = 8000
    trusted_proxies: str = "127.0.0.1"
    metrics_host: str | None = None
    metrics_port: int = Field(default=0, ge=0, le=65535)
    otlp_endpoint: str | None = None
    trace_ratio: float = Field(default=1.0, ge=0, le=1)
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def metrics_address(self) -> tuple[str, int]:
        """Where the metrics are shown."""
        return self.metrics_host or self.http_host, self.metrics_port


class ServiceSettings(ProcessSettings):
    """What every service with messages and work reads as well; a service adds its own fields in its settings.py.

    Days that messages are kept, of all organisations. `outbox_days`: whole months; status is rebuilt from them, so
    never less than a quarter. `inbox_days`: never less than two weeks, for the loss of a command queue asks for a
    week's commands once more, and one whose id was forgotten would be carried out twice. `dead_letter_days`: never
    less than two weeks, so that somebody has time to look.
    """

    broker_url: str
    dead_letter_key: SecretStr
    outbox_days: int = Field(default=396, ge=92)
    inbox_days: int = Field(default=30, ge=14)
    dead_letter_days: int = Field(default=90, ge=14)
    generation: int = 1
    lease_seconds: float = Field(default=60.0, ge=8)
    crash_at: str | None = None

    @model_validator(mode="after")
    def _no_faults_in_production(self) -> Self:
        if self.environment == "production" and self.crash_at:
            raise ValueError("crash_at is for development only")
        return self


_STEP = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}"
"""A part of a path that leads downwards and is not hidden."""


class SourceSettings(BaseModel):
    """What is agreed with one source.

    `hook`: the name of its door for signed webhooks, none for no such door. `events_per_minute`: how many events each
    process takes from it, none for no limit. `body_bytes`: the largest request with its events. `scim_clients`: the
    subjects of tokens that speak for this source by SCIM, none for no such door. `mapping`: the mapping file that its
    files are read by, none when it sends no files. `folder`: where its files are dropped, below the ingestion service's
    `folders`; `kind` is what they are, and with `plan` they wait for somebody once they are planned. `guard_limit` and
    `guard_share`: how many of the source's people its files may take away in 24 hours, none for as many as the
    organisation's own limits say.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    hook: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9-]{1,62}$")
    events_per_minute: int | None = Field(default=None, ge=1)
    body_bytes: int | None = Field(default=None, ge=1)
    scim_clients: frozenset[str] = frozenset()
    mapping: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_-]{0,62}$")
    guard_limit: int | None = Field(default=None, ge=0)
    guard_share: float | None = Field(default=None, ge=0, le=1)
    folder: str | None = Field(default=None, pattern=rf"^{_STEP}(/{_STEP}){{0,3}}$")
    kind: Literal["full", "delta"] | None = None
    plan: bool = False

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if self.folder is not None and (self.mapping is None or self.kind is None):
            raise ValueError("a folder needs a mapping and a kind")
        return self


class RetentionSettings(BaseModel):
    """How many days an organisation keeps its data, as its own plan for its records says.

    `facts` and `versions`: what HR told of people, and superseded records of theirs, counted from the end of the last
    employment; of those who are here, are coming or have just left everything is kept. Never less than a year: grace
    and the right to be employed again (LAS 25 §, nine months) look back that far. `files` and `rejects`: what files
    held, and the rows that were set aside; never less than two weeks, so that HR can mend them. `read_log`: who has
    read what, never less than a year; none for the installation's. `commands`: never less than eight days, for a week
    they may be asked for once more; none for the installation's. `erasure`: how long somebody has to have left before
    the person may be erased; 30 days more than the longest grace of an account in the policy that ships. `names`: how
    long logins and addresses rest that were reserved and never used, before another person may have them. `findings`:
    differences in targets that are over, and what runs over targets came to; the newest run of a target stays.
    `takeovers`: plans of accounts to take over, with the names that were found in the target; what was approved of them
    is carried out all the same.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    facts: int = Field(default=730, ge=366)
    versions: int = Field(default=730, ge=366)
    files: int = Field(default=90, ge=14)
    rejects: int = Field(default=90, ge=14)
    read_log: int | None = Field(default=None, ge=366)
    commands: int | None = Field(default=None, ge=8)
    erasure: int = Field(default=120, ge=30)
    names: int = Field(default=90, ge=30)
    findings: int = Field(default=90, ge=14)
    takeovers: int = Field(default=90, ge=14)


ActivationWay = Literal["manager", "private"]
"""Who is given a person's first code: the manager, or the person's private phone or mail."""


OrganisationData = Literal["hr", "stafett"]
"""Who masters units: HR's systems, or the organisation's own desk here."""

OWN_SOURCES = "urn:stafett:"
"""How the names of our own sources begin; none of an organisation's is called so."""


@dataclass(frozen=True)
class OrganisationSettings:
    """An authority that controls its data, with its zone, names, places in the targets and guard limits.

    `targets`: where its accounts stand, by target as the accounts service knows it: the base of a directory, the
    domain of a tenant.
    `guard_limit` and `guard_share` bound what may be taken away in 24 hours: whichever is larger; `guard_unit_limit`
    and `guard_unit_share` bound what files may take away from one unit. `agreed`: what is agreed with a source, for
    those with whom something is. `retention`: how long it keeps what. `activation`: who may be given a person's first
    code beside IT, and for how many days it is good. `organisation_data`: who masters its units.
    """

    key: str
    name: str
    zone: ZoneInfo
    mail_domain: str
    naming_scope: str
    targets: Mapping[str, str]
    sources: frozenset[str]
    guard_limit: int = 50
    guard_share: float = 0.05
    guard_unit_limit: int = 25
    guard_unit_share: float = 0.5
    agreed: Mapping[str, SourceSettings] = field(default_factory=dict)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    activation: frozenset[ActivationWay] = frozenset({"manager"})
    activation_days: int = 14
    organisation_data: OrganisationData = "hr"

    def scim_source(self, client: str) -> str | None:
        """Return the one source that a SCIM client speaks for; None when it is bound to none."""
        return next((source for source, agreed in self.agreed.items() if client in agreed.scim_clients), None)


class _OrganisationRow(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    zone: str = "Europe/Stockholm"
    mail_domain: str
    naming_scope: str | None = None
    targets: dict[str, str] = Field(min_length=1)
    sources: frozenset[str]
    guard_limit: int = Field(default=50, ge=0)
    guard_share: float = Field(default=0.05, ge=0, le=1)
    guard_unit_limit: int = Field(default=25, ge=0)
    guard_unit_share: float = Field(default=0.5, ge=0, le=1)
    source: dict[str, SourceSettings] = Field(default_factory=dict)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    activation: frozenset[ActivationWay] = frozenset({"manager"})
    activation_days: int = Field(default=14, ge=1, le=90)
    organisation_data: OrganisationData = "hr"

    @model_validator(mode="after")
    def _of_its_own(self) -> Self:
        if strange := sorted(self.source.keys() - self.sources):
            raise ValueError(f"source {strange[0]} is not one of its sources")
        if ours := sorted(source for source in self.sources if source.startswith(OWN_SOURCES)):
            raise ValueError(f"source {ours[0]} is one of Stafett's own")
        clients = [client for agreed in self.source.values() for client in agreed.scim_clients]
        if twice := sorted({client for client in clients if clients.count(client) > 1}):
            raise ValueError(f"SCIM client {twice[0]} is bound to two sources")
        return self


class OrganisationsRefused(Exception):
    """The table of organisations cannot be used; the message names the file, the organisation and the reason."""


def load_organisations(path: Path) -> Mapping[str, OrganisationSettings]:
    """Read the table of organisations.

    Raises:
        OrganisationsRefused: The file is missing, malformed, or gives one source, hook or folder twice.
    """
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise OrganisationsRefused(f"{path}: {error}") from error
    organisations: dict[str, OrganisationSettings] = {}
    owner: dict[str, str] = {}
    hooks: dict[str, str] = {}
    folders: dict[str, str] = {}
    for key, values in rows.items():
        try:
            row = _OrganisationRow.model_validate(values)
            zone = ZoneInfo(row.zone)
        except (ValidationError, KeyError, ValueError) as error:
            raise OrganisationsRefused(f"{path}: [{key}]: {error}") from error
        for source in row.sources:
            if owner.setdefault(source, key) != key:
                raise OrganisationsRefused(f"{path}: source {source} belongs to both {owner[source]} and {key}")
        for source, agreed in row.source.items():
            if agreed.hook and hooks.setdefault(agreed.hook, source) != source:
                raise OrganisationsRefused(f"{path}: hook {agreed.hook} is of both {hooks[agreed.hook]} and {source}")
            if agreed.folder and folders.setdefault(agreed.folder, source) != source:
                other = folders[agreed.folder]
                raise OrganisationsRefused(f"{path}: folder {agreed.folder} is of both {other} and {source}")
        organisations[key] = OrganisationSettings(
            key=key,
            name=row.name,
            zone=zone,
            mail_domain=row.mail_domain,
            naming_scope=row.naming_scope or row.mail_domain,
            targets=MappingProxyType(row.targets),
            sources=row.sources,
            guard_limit=row.guard_limit,
            guard_share=row.guard_share,
            guard_unit_limit=row.guard_unit_limit,
            guard_unit_share=row.guard_unit_share,
            agreed=MappingProxyType(row.source),
            retention=row.retention,
            activation=row.activation,
            activation_days=row.activation_days,
            organisation_data=row.organisation_data,
        )
    return MappingProxyType(organisations)
