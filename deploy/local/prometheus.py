"""A private Prometheus that watches the services of an installation, with the rules of `deploy/observability`."""

import http.client
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from typing_extensions import override

from deploy.local.server import HOST, ServerConfig, ServerMissingError
from deploy.local.web import WebServer

OBSERVABILITY = Path(__file__).parents[1] / "observability"
_PROGRAM = Path("/usr/bin/prometheus")


def targets_file(addresses: Mapping[str, str], **labels: str) -> str:
    """Return a file for the delivered configuration to read: where each service, by its name, shows its metrics."""
    found = [{"targets": [where], "labels": {"service": name, **labels}} for name, where in addresses.items()]
    return json.dumps(found, indent=2) + "\n"


@dataclass(frozen=True, kw_only=True)
class PrometheusConfig(ServerConfig):
    """A private Prometheus.

    Attributes:
        targets: The port at which each service shows its metrics, by the service's name.
    """

    targets: Mapping[str, int]


class PrometheusServer(WebServer[PrometheusConfig]):
    """Prometheus with the configuration that is delivered, on 127.0.0.1 only; it keeps a week."""

    name: ClassVar[str] = "prometheus"

    @property
    @override
    def mark(self) -> str:
        return f"--config.file={self.config.folder.resolve() / 'prometheus.yml'}"

    @override
    def prepare(self) -> None:
        """Lay out the delivered configuration and rules, and say where the services are."""
        if not _PROGRAM.exists():
            raise ServerMissingError("Prometheus is not installed (Debian package: prometheus)")
        targets = self.config.folder / "targets"
        targets.mkdir(parents=True, exist_ok=True)
        shutil.copy(OBSERVABILITY / "prometheus.yml", self.config.folder / "prometheus.yml")
        shutil.copytree(OBSERVABILITY / "rules", self.config.folder / "rules", dirs_exist_ok=True)
        found = {name: f"{HOST}:{port}" for name, port in self.config.targets.items()}
        (targets / "stafett.json").write_text(targets_file(found))

    @override
    def command(self) -> list[str]:
        return [
            str(_PROGRAM),
            self.mark,
            f"--storage.tsdb.path={self.config.folder.resolve() / 'data'}",
            "--storage.tsdb.retention.time=7d",
            f"--web.listen-address={HOST}:{self.config.port}",
        ]

    @override
    def ready(self) -> bool:
        """Ask /-/ready."""
        try:
            return self.get("/-/ready")[0] == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False

    def ask(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer of its HTTP API (`targets`, `rules`, `query`).

        Raises:
            OSError: It does not answer.
            ValueError: It refuses the question.
        """
        query = "&".join(f"{name}={quote(value)}" for name, value in parameters.items())
        status, body = self.get(f"/api/v1/{path}?{query}")
        if status != http.HTTPStatus.OK:
            raise ValueError(body)
        return json.loads(body)["data"]

    def targets_up(self) -> tuple[int, int]:
        """Say how many targets are up, and how many there are; none when it does not answer."""
        try:
            found = [target["health"] for target in self.ask("targets", state="active")["activeTargets"]]
        except (OSError, http.client.HTTPException, ValueError):
            return 0, len(self.config.targets)
        return found.count("up"), len(found)
