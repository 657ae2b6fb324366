"""What the local run's simulator of Microsoft Graph is told: one tenant with all organisations' domains, and one app.

Development only, like the simulator itself.
"""

from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from deploy.local.certificates import tls_files
from deploy.local.secret_files import SecretFiles
from deploy.local.server import HOST, write_private
from deploy.simulators.graph.seeds import AppSeed, PlanSeed, SkuSeed, TenantSeed
from services.kernel.settings import load_organisations

TENANT = str(uuid5(NAMESPACE_URL, "https://stafett.example/tenant"))
CLIENT = str(uuid5(NAMESPACE_URL, "https://stafett.example/client"))


class GraphFiles:
    """The simulator's files below one folder.

    Args:
        folder: Where they lie.
        organisations: The table of organisations, whose mail domains are verified in the tenant.
        secrets: Where the app's secret and the control API's token are kept.
    """

    def __init__(self, folder: Path, organisations: Path, secrets: SecretFiles) -> None:
        self.folder = folder
        self._organisations = organisations
        self._secrets = secrets

    @property
    def ca_file(self) -> Path:
        """The authority that clients must trust."""
        return self.folder / "ca.crt"

    @property
    def client_secret(self) -> str:
        """The secret of the app `CLIENT`."""
        return self._secrets.server("graph_client")

    @property
    def control_token(self) -> str:
        """What the control API wants as bearer."""
        return self._secrets.server("graph_control")

    def prepare(self, *names: str) -> None:
        """Write certificate, token and tenant. Safe to repeat.

        Args:
            names: The host names that clients use; without any, those of this machine for itself.
        """
        (self.folder / "seeds").mkdir(parents=True, exist_ok=True)
        tls_files(self.folder, *names)
        write_private(self.folder / "control_token", self.control_token)
        write_private(self.folder / "seeds" / "tenant.json", self._tenant().model_dump_json(indent=1))

    def client(self, url: str) -> dict[str, str]:
        """Say how a client reaches it at `url`, as the file of targets does; the secret is `client_secret`."""
        return {
            "kind": "entra",
            "url": f"{url}/v1.0",
            "authority": f"{url}/{TENANT}",
            "client_id": CLIENT,
            "ca_file": str(self.ca_file),
            "usage_location": "SE",
        }

    def environment(self, port: int, control_port: int, host: str = HOST) -> dict[str, str]:
        """Give the simulator's STAFETT_SIM_* environment."""
        return {
            "STAFETT_SIM_ENVIRONMENT": "development",
            "STAFETT_SIM_HOST": host,
            "STAFETT_SIM_PORT": str(port),
            "STAFETT_SIM_CONTROL_PORT": str(control_port),
            "STAFETT_SIM_CERTIFICATE_FILE": str(self.folder / "server.crt"),
            "STAFETT_SIM_KEY_FILE": str(self.folder / "server.key"),
            "STAFETT_SIM_CONTROL_TOKEN_FILE": str(self.folder / "control_token"),
            "STAFETT_SIM_SEEDS": str(self.folder / "seeds"),
            "STAFETT_SIM_STATE": str(self.folder / "entries.jsonl"),
        }

    def _tenant(self) -> TenantSeed:
        domains = sorted({row.mail_domain for row in load_organisations(self._organisations).values()})
        mail = PlanSeed(name="EXCHANGE_S_ENTERPRISE")
        archive = PlanSeed(name="EXCHANGE_S_ARCHIVE_ADDON", needs=(mail.name,))
        return TenantSeed(
            id=TENANT,
            name="Stafett",
            domains=tuple(domains),
            apps=(AppSeed(id=CLIENT, secrets=(self.client_secret,)),),
            skus=(
                SkuSeed(part_number="SPE_E3", seats=5_000, plans=(mail, archive)),
                SkuSeed(part_number="SPE_F1", seats=5_000),
            ),
        )
