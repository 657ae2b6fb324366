"""The installation that docker-compose.yml runs: its secrets and configuration, and how it is reached from here.

Below `mounted` lies what containers see, a folder for each. The folder itself is closed to other people of this
machine; files in it can be read by whatever user a container runs as.
"""

import hashlib
import json
import shutil
from functools import cached_property
from pathlib import Path, PurePosixPath

from typing_extensions import override

from deploy.local.certificates import LOOPBACK, tls_files
from deploy.local.graph import GraphFiles
from deploy.local.installation import DIRECTING, ERASING, GRAPH, PORTAL, Installation
from deploy.local.ports import Ports
from deploy.local.prometheus import targets_file
from deploy.local.samba_conf import SambaConf
from deploy.local.server import write_private
from deploy.local.servers import SambaServer, ServerKinds, SlapdConfig, SlapdServer
from deploy.local.settings import ROOT
from deploy.local.slapd import first_entries
from deploy.local.slapd_conf import SERVICE_SUFFIX, SlapdConf, TlsFiles, folder_name
from services.kernel.messaging.topology import VHOST, definitions

BROKER_MAJOR = 4
_METRICS_PORT = 9464
_RABBITMQ_CONF = f"""\
load_definitions = /run/stafett/definitions.json
default_vhost = {VHOST}
log.console = true
log.console.level = info
log.file = false
"""


class Composed(Installation):
    """Described as one on this machine is; nothing of it is a process of ours, so `start` and `stop` are not for it.

    Args:
        folder: Where its secrets and configuration lie.
        ports: Where it listens on this machine.
        observed: Whether a Prometheus watches it.
        active_directory: Whether it has a domain controller.
        organisations: The table of organisations.
    """

    def __init__(
        self,
        folder: Path,
        ports: Ports,
        *,
        observed: bool = False,
        active_directory: bool = True,
        organisations: Path = ROOT / "deploy" / "local" / "organisations.toml",
    ) -> None:
        super().__init__(
            folder,
            ports,
            organisations=organisations,
            observed=observed,
            portal=True,
            active_directory=active_directory,
            graph=True,
            kinds=ServerKinds(broker_major=lambda: BROKER_MAJOR),
        )
        self.mounted = self.folder / "mounted"

    @cached_property
    @override
    def slapd(self) -> SlapdServer:
        """The directory: LDAPS, with a certificate by an authority of this installation's own."""
        plain = super().slapd.config
        tls = tls_files(self.mounted / "openldap", "openldap", *LOOPBACK)
        return SlapdServer(
            SlapdConfig(
                folder=plain.folder,
                port=plain.port,
                suffixes=plain.suffixes,
                service_password=plain.service_password,
                admin_password=plain.admin_password,
                tls=tls,
                ldaps=True,
            )
        )

    @cached_property
    @override
    def graph(self) -> GraphFiles:
        """What the simulator of Microsoft Graph mounts."""
        return GraphFiles(self.mounted / GRAPH, self.organisations, self.secrets)

    @override
    def prepare(self) -> None:
        """Write what the containers mount, and the addresses for compose. Safe to repeat."""
        self.mounted.mkdir(parents=True, exist_ok=True)
        self.mounted.chmod(0o700)
        self.issuer.prepare()
        self._issuer()
        self._postgres()
        self._rabbitmq()
        self._openldap()
        self._samba()
        self._services()
        # the container's user writes there, and nobody else gets as far
        self._drop_folders(self.mounted / "hr", 0o777)
        self._portal()
        self._graph()
        self._prometheus()
        write_private(self.compose_file, _lines(self.variables()))

    def tell_the_command(self) -> None:
        """Write where the `stafett` command finds this installation, instead of another."""
        write_private(ROOT / ".run" / "env" / "cli.env", _lines(self.client_environment()))

    def variables(self) -> dict[str, str]:
        """Say what docker-compose.yml asks for: where containers are reached on this machine, and what they mount."""
        servers = {name: getattr(self.ports, name) for name in ("postgres", "slapd", "prometheus", "graph_api")}
        ports = {f"STAFETT_PORT_{name.upper()}": str(port) for name, port in {**self.ports.http, **servers}.items()}
        profiles = {"ad": self.active_directory, "obs": self.observed}
        return {
            **ports,
            "STAFETT_ADDRESS_SAMBA": self.ports.samba,
            "STAFETT_PROJECT": self.project,
            "STAFETT_MOUNTED": str(self.mounted),
            "COMPOSE_PROFILES": ",".join(name for name, wanted in profiles.items() if wanted),
        }

    @cached_property
    def project(self) -> str:
        """What docker compose calls it: containers and data belong to this folder, as the secrets in it do.

        What it was called last time it is called again, for the folder may have been moved.
        """
        if self.compose_file.exists():
            for line in self.compose_file.read_text().splitlines():
                if line.startswith("STAFETT_PROJECT="):
                    return line.partition("=")[2]
        return f"stafett-{hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]}"

    @property
    def compose_file(self) -> Path:
        """The variables that docker-compose.yml asks for."""
        return self.folder / "compose.env"

    def _issuer(self) -> None:
        self._write("issuer/jwks.json", self.issuer.jwks.read_text())
        for path in (self.folder / "issuer").glob("*.j*"):
            self._write(f"provider/{path.name}", path.read_text())

    def _postgres(self) -> None:
        self._write("postgres/password", self.secrets.server("postgres"))
        passwords = {name: self.secrets.database_password(name) for name in self.databases}
        self._write("migration/service_passwords.json", json.dumps(passwords))
        admin = f"postgresql://postgres:{self.secrets.server('postgres')}@postgres:5432/stafett"
        self._write("migration/STAFETT_ADMIN_DATABASE_URL", admin)

    def _rabbitmq(self) -> None:
        passwords = self.secrets.broker_passwords(self.service_names)
        self._write("rabbitmq/rabbitmq.conf", _RABBITMQ_CONF)
        self._write("rabbitmq/definitions.json", json.dumps(definitions(passwords, broker_major=BROKER_MAJOR)))

    def _openldap(self) -> None:
        for name, text in slapd_files(self.slapd.config, encrypted=True).items():
            self._write(f"openldap/{name}", text)
        for made in ("ca.crt", "server.crt", "server.key"):
            (self.mounted / "openldap" / made).chmod(0o644)

    def _samba(self) -> None:
        if not self.active_directory:
            return
        tls = tls_files(self.samba.ca_file.parent, "samba", self.ports.samba, *LOOPBACK)
        for name, text in samba_files(self.samba).items():
            self._write(f"samba/{name}", text)
        for path in (tls.ca, tls.certificate, tls.key):
            self._write(f"samba/{path.name}", path.read_text())
        for name in DIRECTING:
            self._write(f"services/{name}/ad.crt", tls.ca.read_text())

    def _services(self) -> None:
        broker = self.secrets.broker_passwords(self.service_names)
        for name in self.service_names:
            self._database(name)
            self._write(f"services/{name}/STAFETT_BROKER_URL", f"amqp://{name}:{broker[name]}@rabbitmq/{VHOST}")
            self._write(f"services/{name}/STAFETT_DEAD_LETTER_KEY", self.secrets.dead_letter_key(name))
        for name in ERASING:
            self._write(f"services/{name}/STAFETT_ERASURE_KEY", self.secrets.erasure_key())
        self._write("organisations.toml", self.organisations.read_text(encoding="utf-8"))
        self._write("services/accounts/STAFETT_ACTIVATION_KEY", self.secrets.activation_key())
        for name in DIRECTING:
            self._write(f"services/{name}/target_entra", self.graph.client_secret)
            self._write(f"services/{name}/target_openldap", self.secrets.server("ldap_service"))
            self._write(f"services/{name}/target_active_directory", self.samba.config.service_password)
            shutil.copy(self.mounted / "openldap" / "ca.crt", self.mounted / "services" / name / "ca.crt")

    def _graph(self) -> None:
        self.graph.prepare(GRAPH, *LOOPBACK)
        for name in DIRECTING:
            shutil.copy(self.graph.ca_file, self.mounted / "services" / name / "graph.crt")
        for path in self.graph.folder.rglob("*.*"):
            path.chmod(0o644)
        (self.graph.folder / "control_token").chmod(0o644)

    def _portal(self) -> None:
        self._database(PORTAL)
        self._write(f"services/{PORTAL}/STAFETT_SESSION_KEY", self.secrets.session_key())

    def _database(self, name: str) -> None:
        password = self.secrets.database_password(name)
        self._write(f"services/{name}/STAFETT_DATABASE_URL", f"postgresql://{name}:{password}@postgres/stafett")

    def _prometheus(self) -> None:
        services = {name: f"{name}:{_METRICS_PORT}" for name in self.databases}
        self._write("prometheus/targets/stafett.json", targets_file(services))
        # the broker's own page, beside what its consumers hear of it
        self._write("prometheus/targets/rabbitmq.json", targets_file({"rabbitmq": "rabbitmq:15692"}, job="rabbitmq"))

    def _write(self, name: str, text: str) -> None:
        path = self.mounted / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)


def slapd_files(config: SlapdConfig, *, encrypted: bool) -> dict[str, str]:
    """Return what the OpenLDAP image reads in /run/slapd, by file name; certificates come beside it."""
    here = PurePosixPath("/run/slapd")
    names = {"ca": here / "ca.crt", "certificate": here / "server.crt", "key": here / "server.key"}
    conf = SlapdConf(
        schema=Path("/etc/ldap/schema/stafett.schema"),
        data=Path("/var/lib/slapd"),
        pid_file=Path("/tmp/slapd.pid"),  # noqa: S108 - a tmpfs of the container's own
        suffixes=config.suffixes,
        service_password=config.service_password,
        admin_password=config.admin_password,
        durable=config.durable,
        tls=TlsFiles(**{name: Path(path) for name, path in names.items()}) if encrypted else None,
    )
    trees = {f"trees/{folder_name(suffix)}.ldif": first_entries(suffix) for suffix in config.suffixes}
    return {"slapd.conf": conf.text(), f"trees/{folder_name(SERVICE_SUFFIX)}.ldif": "", **trees}


def samba_files(server: SambaServer) -> dict[str, str]:
    """Return what the Samba image reads in /run/samba-dc, by file name; the certificate comes beside it."""
    here, run = Path("/run/samba-dc"), Path("/tmp/samba")  # noqa: S108 - a tmpfs of the container's own
    conf = SambaConf(
        realm=server.config.realm,
        data=Path("/var/lib/domain/data"),
        run=run,
        tls=TlsFiles(ca=here / "ca.crt", certificate=here / "server.crt", key=run / "server.key"),
        durable=server.config.durable,
    )
    return {"smb.conf": conf.text(), "domain.json": server.wanted}


def _lines(variables: dict[str, str]) -> str:
    return "".join(f"{key}={value}\n" for key, value in variables.items())
