"""A whole installation on this machine: servers, secrets, issuer, and the environment of each service.

`make up` runs one in `.run/` under supervisor; the end-to-end tests run private ones, with free ports, in a temporary
folder and without supervisor: `start()`, `service("accounts").kill9()`, `rabbitmq.wipe_data()`, `stop()`.
"""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from deploy import texts
from deploy.local.graph import GraphFiles
from deploy.local.issuer import AUDIENCE, ISSUER, Issuer
from deploy.local.ports import Ports, free_ports
from deploy.local.prometheus import PrometheusConfig, PrometheusServer
from deploy.local.secret_files import SecretFiles
from deploy.local.server import BASE_ENVIRONMENT, HOST, Server, ServerConfig, ServerFailedError, write_private
from deploy.local.servers import (
    ON_THIS_MACHINE,
    PostgresConfig,
    PostgresServer,
    RabbitConfig,
    RabbitServer,
    SambaConfig,
    SambaServer,
    ServerKinds,
    SlapdConfig,
    SlapdServer,
)
from deploy.local.service import ServiceConfig, ServiceProcess
from deploy.local.settings import ROOT
from deploy.local.targets import ACTIVE_DIRECTORY, ENTRA, OPENLDAP, present, write_targets
from services.kernel.messaging.topology import definitions
from services.kernel.settings import load_organisations

SERVICES = ("ingestion", "accounts", "orgtree", "status")
"""Services with messages: they have a broker user, an outbox and work."""
ERASING = ("ingestion", "accounts")
"""Services that keep keyed hashes of what erased people were known by."""
DIRECTING = ("accounts", "orgtree")
"""Services that write in targets."""
PORTAL = "portal"
REALM = "STAFETT.EXAMPLE"
"""The Active Directory's domain."""
PROVIDER = "provider"
"""The OpenID provider that the portal signs people in at, here and nowhere else."""
GRAPH = "graph"
"""The simulator of Microsoft Graph, here and nowhere else."""
_PACKAGES = {PROVIDER: "deploy.local", GRAPH: "deploy.simulators"}


class Installation:
    """Everything that one installation consists of; nothing is written or started before `prepare`.

    Args:
        folder: Where all of it lives; `.run` for `make up`.
        ports: Where it listens.
        services: Which services it has.
        durable: False for tests: no syncs to disk, which a `kill -9` of processes does not need.
        organisations: The table of organisations; one directory tree is made for each base of `openldap` in it.
        variables: More environment for every service, for example a test's shorter lease.
        observed: Whether a Prometheus of its own watches it.
        active_directory: Whether it has a Samba domain controller, with a unit for each organisation.
        graph: Whether it has a simulated Microsoft Graph, with one tenant for all organisations.
        portal: Whether it has the pages, and a provider to sign in at.
        kinds: Which servers it has.
    """

    def __init__(
        self,
        folder: Path,
        ports: Ports,
        services: tuple[str, ...] = SERVICES,
        *,
        durable: bool = True,
        organisations: Path = ROOT / "deploy" / "local" / "organisations.toml",
        variables: Mapping[str, str] | None = None,
        observed: bool = False,
        portal: bool = False,
        active_directory: bool = False,
        graph: bool = False,
        kinds: ServerKinds = ON_THIS_MACHINE,
    ) -> None:
        self.observed = observed
        self.active_directory = active_directory
        self.kinds = kinds
        self.folder = folder.resolve()
        self.ports = ports
        self.service_names = services
        self._organisations = organisations
        self.issuer = Issuer(self.folder / "issuer")
        self.pages = (PROVIDER, PORTAL) if portal else ()
        self.simulators = (GRAPH,) if graph else ()
        self._durable = durable
        self._variables = dict(variables or {})

    @property
    def targets(self) -> tuple[str, ...]:
        """Where its people may have accounts."""
        windows = (ACTIVE_DIRECTORY,) if self.active_directory else ()
        return (OPENLDAP, *windows, *((ENTRA,) if self.simulators else ()))

    @cached_property
    def organisations(self) -> Path:
        """The table of organisations, with their places in the targets that run here; written when it is asked for."""
        file = self.folder / "organisations.toml"
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o711)
        file.write_text(present(self._organisations.read_text(encoding="utf-8"), self.targets), encoding="utf-8")
        return file

    @cached_property
    def secrets(self) -> SecretFiles:
        """The secrets, made at first use."""
        return SecretFiles(self.folder / "secrets")

    @cached_property
    def postgres(self) -> PostgresServer:
        """The database server."""
        return self.kinds.postgres(
            PostgresConfig(
                folder=self.folder / "postgres",
                port=self.ports.postgres,
                log=self.log("postgres"),
                password=self.secrets.server("postgres"),
                durable=self._durable,
                shared_buffers="256MB" if self._durable else "128MB",
            )
        )

    @cached_property
    def rabbitmq(self) -> RabbitServer:
        """The broker, with the users, permissions and policies of the kernel's topology."""
        passwords = self.secrets.broker_passwords(self.service_names)
        prober = self.service_names[0]
        return self.kinds.rabbitmq(
            RabbitConfig(
                folder=self.folder / "rabbitmq",
                port=self.ports.rabbitmq,
                epmd_port=self.ports.epmd,
                dist_port=self.ports.dist,
                log=self.log("rabbitmq"),
                definitions=definitions(passwords, broker_major=self.kinds.broker_major()),
                user=prober,
                password=passwords[prober],
                cookie=self.secrets.server("cookie"),
            )
        )

    @cached_property
    def slapd(self) -> SlapdServer:
        """The directory, with a tree for each organisation."""
        bases = {row.targets[OPENLDAP] for row in load_organisations(self.organisations).values()}
        return self.kinds.slapd(
            SlapdConfig(
                folder=self.folder / "slapd",
                port=self.ports.slapd,
                log=self.log("slapd"),
                suffixes=tuple(sorted(bases)),
                service_password=self.secrets.server("ldap_service"),
                admin_password=self.secrets.server("ldap_admin"),
                durable=self._durable,
            )
        )

    @cached_property
    def samba(self) -> SambaServer:
        """The Active Directory, with a unit for each organisation."""
        rows = load_organisations(self.organisations).values()
        return self.kinds.samba(
            SambaConfig(
                folder=self.folder / "samba",
                address=self.ports.samba,
                log=self.log("samba"),
                realm=REALM,
                bases=tuple(sorted(row.targets.get(ACTIVE_DIRECTORY) or _unit(row.key) for row in rows)),
                service_password=complex_password(self.secrets.server("ad_service")),
                admin_password=complex_password(self.secrets.server("ad_admin")),
                durable=self._durable,
            )
        )

    @cached_property
    def graph(self) -> GraphFiles:
        """What the simulator of Microsoft Graph and its clients are told."""
        return GraphFiles(self.folder / GRAPH, self.organisations, self.secrets)

    @cached_property
    def prometheus(self) -> PrometheusServer:
        """The Prometheus that watches the services."""
        return PrometheusServer(
            PrometheusConfig(
                folder=self.folder / "prometheus",
                port=self.ports.prometheus,
                log=self.log("prometheus"),
                targets={name: self.ports.metrics[name] for name in self.databases},
            )
        )

    @property
    def servers(self) -> tuple[Server[ServerConfig], ...]:
        """All servers, in the order in which they start."""
        windows = (self.samba,) if self.active_directory else ()
        return (self.postgres, self.slapd, *windows, self.rabbitmq, *((self.prometheus,) if self.observed else ()))

    @cached_property
    def services(self) -> dict[str, ServiceProcess]:
        """All services by name."""
        return {
            name: ServiceProcess(
                ServiceConfig(
                    folder=self.folder / "services" / name,
                    port=self.ports.http[name],
                    log=self.log(name),
                    service=name,
                    package=_PACKAGES.get(name, "services"),
                    variables=self.environment(name),
                )
            )
            for name in (*self.service_names, *self.simulators, *self.pages)
        }

    @property
    def databases(self) -> tuple[str, ...]:
        """Services with a schema and a role of their own."""
        return (*self.service_names, *(name for name in self.pages if name == PORTAL))

    def service(self, name: str, **variables: str) -> ServiceProcess:
        """Give a service's process; with more environment (`STAFETT_CRASH_AT=...`), one that runs with it.

        The one with more environment takes the place of the old one, which must have been stopped or killed.
        """
        if variables:
            old = self.services[name].config
            self.services[name] = ServiceProcess(replace(old, variables={**self.environment(name), **variables}))
        return self.services[name]

    def twin(self, name: str) -> ServiceProcess:
        """Give a second process of a service, with a folder and a port of its own; whoever asks for it stops it."""
        (port,) = free_ports(1)
        return ServiceProcess(
            ServiceConfig(
                folder=self.folder / "services" / f"{name}-twin",
                port=port,
                log=self.log(f"{name}-twin"),
                service=name,
                variables={**self.environment(name), "STAFETT_HTTP_PORT": str(port), "STAFETT_METRICS_PORT": "0"},
            )
        )

    def log(self, name: str) -> Path:
        """Where a program of this installation writes its output."""
        return self.folder / "log" / f"{name}.log"

    def environment(self, service: str) -> dict[str, str]:
        """Give the STAFETT_* environment of a service."""
        if service == GRAPH:
            return self.graph.environment(self.ports.graph_api, self.ports.http[GRAPH])
        if service in {PORTAL, PROVIDER}:
            return {**self._page_environment(service), **self._variables}
        broker_password = self.secrets.broker_passwords((service,))[service]
        return {
            "STAFETT_ENVIRONMENT": "development",
            "STAFETT_DATABASE_URL": self.postgres.url_for(service, self.secrets.database_password(service)),
            "STAFETT_BROKER_URL": self.rabbitmq.url_for(service, broker_password),
            "STAFETT_ORGANISATIONS": str(self.organisations),
            "STAFETT_JWKS": str(self.issuer.jwks),
            "STAFETT_ISSUER": ISSUER,
            "STAFETT_AUDIENCE": AUDIENCE,
            "STAFETT_HTTP_HOST": HOST,
            "STAFETT_HTTP_PORT": str(self.ports.http[service]),
            "STAFETT_METRICS_PORT": str(self.ports.metrics[service]),
            "STAFETT_POLICY_DIR": str(ROOT / "deploy" / "policy"),
            "STAFETT_MAPPINGS": str(ROOT / "deploy" / "mappings"),
            "STAFETT_FOLDERS": str(self.folder / "hr"),
            "STAFETT_DEAD_LETTER_KEY": self.secrets.dead_letter_key(service),
            **({"STAFETT_ERASURE_KEY": self.secrets.erasure_key()} if service in ERASING else {}),
            **({"STAFETT_TARGETS": str(self._targets_file)} if service in DIRECTING else {}),
            **({"STAFETT_ACTIVATION_KEY": self.secrets.activation_key()} if service == "accounts" else {}),
            **self._variables,
        }

    def _page_environment(self, service: str) -> dict[str, str]:
        url = {name: f"http://{HOST}:{port}" for name, port in self.ports.http.items()}
        common = {
            "STAFETT_ENVIRONMENT": "development",
            "STAFETT_ORGANISATIONS": str(self.organisations),
            "STAFETT_HTTP_HOST": HOST,
            "STAFETT_HTTP_PORT": str(self.ports.http[service]),
        }
        if service == PROVIDER:
            return {
                **common,
                "STAFETT_ISSUER_FOLDER": str(self.folder / "issuer"),
                "STAFETT_PROVIDER_URL": url[PROVIDER],
                "STAFETT_PORTAL_URL": url[PORTAL],
                "STAFETT_STATUS_URL": url["status"],
            }
        return {
            **common,
            "STAFETT_METRICS_PORT": str(self.ports.metrics[service]),
            "STAFETT_DATABASE_URL": self.postgres.url_for(service, self.secrets.database_password(service)),
            "STAFETT_JWKS": str(self.issuer.jwks),
            "STAFETT_ISSUER": ISSUER,
            "STAFETT_AUDIENCE": AUDIENCE,
            "STAFETT_PUBLIC_URL": url[PORTAL],
            "STAFETT_OIDC_ISSUER": url[PROVIDER],
            "STAFETT_SESSION_KEY": self.secrets.session_key(),
            **{f"STAFETT_{name.upper()}_URL": url[name] for name in SERVICES},
        }

    def client_environment(self) -> dict[str, str]:
        """Give the environment of the `stafett` command."""
        return {
            "STAFETT_INGESTION_URL": f"http://{HOST}:{self.ports.http['ingestion']}",
            "STAFETT_STATUS_URL": f"http://{HOST}:{self.ports.http['status']}",
            "STAFETT_ACCOUNTS_URL": f"http://{HOST}:{self.ports.http['accounts']}",
            "STAFETT_ORGTREE_URL": f"http://{HOST}:{self.ports.http['orgtree']}",
            "STAFETT_TOKEN_FILE": str(self.folder / "issuer" / "token"),
        }

    def _drop_folders(self, root: Path, mode: int = 0o755) -> None:
        """Make the folders that sources drop files in."""
        for organisation in load_organisations(self.organisations).values():
            for agreed in organisation.agreed.values():
                if agreed.folder is not None:
                    (root / agreed.folder).mkdir(parents=True, exist_ok=True)
                    (root / agreed.folder).chmod(mode)

    def prepare(self) -> None:
        """Write secrets, keys, configuration and environment files, and make the data folders. Safe to repeat."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o711)
        for name in ("issuer", "log", "env"):
            (self.folder / name).mkdir(exist_ok=True)
        self._drop_folders(self.folder / "hr")
        self.issuer.prepare()
        self.secrets.database_passwords_file(self.databases)
        self._targets()
        if self.pages:
            texts.compile_catalogues()
        if self.simulators:
            self.graph.prepare()
        for server in self.servers:
            server.prepare()
        environments = {name: self.environment(name) for name in (*self.service_names, *self.simulators, *self.pages)}
        for name, variables in {**environments, "cli": self.client_environment()}.items():
            lines = "".join(f"{key}={value}\n" for key, value in variables.items())
            write_private(self.folder / "env" / f"{name}.env", lines)

    @property
    def _targets_file(self) -> Path:
        return self.folder / "targets" / "targets.toml"

    def _targets(self) -> None:
        """Write how each target is reached, and its secrets."""
        slapd = {"kind": "openldap", "url": self.slapd.url, "bind_dn": self.slapd.service_dn}
        found: dict[str, tuple[Mapping[str, str], str]] = {OPENLDAP: (slapd, self.slapd.config.service_password)}
        if ACTIVE_DIRECTORY in self.targets:
            windows = self.samba
            reached = {"kind": "active_directory", "url": windows.url, "bind_dn": windows.service_dn}
            trusting = {**reached, "ca_file": str(windows.ca_file)}
            found[ACTIVE_DIRECTORY] = (trusting, windows.config.service_password)
        if ENTRA in self.targets:
            url = f"https://{HOST}:{self.ports.graph_api}"
            found[ENTRA] = (self.graph.client(url), self.graph.client_secret)
        write_targets(self._targets_file.parent, found)

    def migrate(self) -> None:
        """Create roles, schemas and tables.

        Raises:
            ServerFailedError: The migration did not run through; with what it said.
        """
        environment = {
            **BASE_ENVIRONMENT,
            "HOME": str(self.folder),
            "STAFETT_ENVIRONMENT": "development",
            "STAFETT_ADMIN_DATABASE_URL": self.postgres.url,
            "STAFETT_SERVICE_PASSWORDS_FILE": str(self.secrets.database_passwords_file(self.databases)),
        }
        argv = [sys.executable, "-m", "deploy.migrate"]
        done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            message = f"the migration failed:\n{done.stdout}{done.stderr}"
            raise ServerFailedError(message)

    def start(self) -> None:
        """Start everything as our own children, for tests: servers, migrations, services."""
        self.prepare()
        for server in self.servers:
            server.start()
        self.migrate()
        # a relay waits for the queues of all consumers, so no service is ready before the others are up
        for service in self.services.values():
            service.launch()
        for service in self.services.values():
            service.wait_ready(60)

    def stop(self) -> None:
        """Stop everything that `start` has started, services first."""
        for process in (*self.services.values(), *self.servers):
            process.resume()
            process.stop()


def complex_password(secret: str) -> str:
    """Return a password that a Windows domain accepts: three kinds of characters."""
    return f"{secret}-A"


def _unit(organisation: str) -> str:
    """Return the unit of an organisation that has no accounts in the domain (yet)."""
    return ",".join([f"OU={organisation}", *(f"DC={label}" for label in REALM.lower().split("."))])
