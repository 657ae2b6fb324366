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

from deploy.local import processes
from deploy.local.server import HOST, Server, ServerConfig, ServerMissingError

OBSERVABILITY = Path(__file__).parents[1] / "observability"
_PROGRAM = Path("/usr/bin/prometheus")


@dataclass(frozen=True, kw_only=True)
class PrometheusConfig(ServerConfig):
    """A private Prometheus.

    Attributes:
        targets: The port at which each service shows its metrics, by the service's name.
    """

    targets: Mapping[str, int]


class PrometheusServer(Server[PrometheusConfig]):
    """Prometheus with the configuration that is delivered, on 127.0.0.1 only; it keeps a week."""

    name: ClassVar[str] = "prometheus"

    @property
    @override
    def url(self) -> str:
        return f"http://{HOST}:{self.config.port}"

    @property
    @override
    def pid_file(self) -> Path:
        """Nobody writes it; `pid` looks at the running processes instead."""
        return self.config.folder / "pid"

    @property
    @override
    def pid(self) -> int | None:
        return processes.find(self.config.folder, self._configuration)

    @property
    def _configuration(self) -> str:
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
        found = [
            {"targets": [f"{HOST}:{port}"], "labels": {"service": name}} for name, port in self.config.targets.items()
        ]
        (targets / "stafett.json").write_text(json.dumps(found, indent=2) + "\n")

    @override
    def command(self) -> list[str]:
        return [
            str(_PROGRAM),
            self._configuration,
            f"--storage.tsdb.path={self.config.folder.resolve() / 'data'}",
            "--storage.tsdb.retention.time=7d",
            f"--web.listen-address={HOST}:{self.config.port}",
        ]

    @override
    def ready(self) -> bool:
        """Ask /-/ready."""
        try:
            return self._get("/-/ready")[0] == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False

    def ask(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer of its HTTP API (`targets`, `rules`, `query`).

        Raises:
            OSError: It does not answer.
            ValueError: It refuses the question.
        """
        query = "&".join(f"{name}={quote(value)}" for name, value in parameters.items())
        status, body = self._get(f"/api/v1/{path}?{query}")
        if status != http.HTTPStatus.OK:
            raise ValueError(body.decode(errors="replace"))
        return json.loads(body)["data"]

    def targets_up(self) -> tuple[int, int]:
        """Say how many targets are up, and how many there are; none when it does not answer."""
        try:
            found = [target["health"] for target in self.ask("targets", state="active")["activeTargets"]]
        except (OSError, http.client.HTTPException, ValueError):
            return 0, len(self.config.targets)
        return found.count("up"), len(found)

    def _get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(HOST, self.config.port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()
