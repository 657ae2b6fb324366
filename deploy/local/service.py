"""One of Stafett's own services as a process of the local run, in the same shape as the servers."""

import http
import http.client
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from deploy.local import processes
from deploy.local.server import HOST, Server, ServerConfig
from deploy.local.settings import ROOT


@dataclass(frozen=True, kw_only=True)
class ServiceConfig(ServerConfig):
    """A service's process.

    Attributes:
        service: Its name, the module below `package`.
        package: Where its module is.
        variables: Its STAFETT_* environment.
    """

    service: str
    package: str = "services"
    variables: Mapping[str, str] = field(repr=False)

    @property
    def module(self) -> str:
        """What `python -m` runs."""
        return f"{self.package}.{self.service}"


class ServiceProcess(Server[ServiceConfig]):
    """`python -m services.<name>`; ready when GET /readyz answers 200."""

    name: ClassVar[str] = "service"

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
        return processes.find(self.config.folder, self.config.module)

    @override
    def prepare(self) -> None:
        self.config.folder.mkdir(parents=True, exist_ok=True)

    @override
    def command(self) -> list[str]:
        return [sys.executable, "-m", self.config.module]

    @override
    def environment(self) -> dict[str, str]:
        return {**super().environment(), "PYTHONPATH": str(ROOT), **self.config.variables}

    @override
    def ready(self) -> bool:
        return self.readiness()[0]

    def readiness(self) -> tuple[bool, str]:
        """Ask /readyz: whether all is there, and what it said."""
        connection = http.client.HTTPConnection(HOST, self.config.port, timeout=3)
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            return answer.status == http.HTTPStatus.OK, answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as problem:
            return False, f"no answer: {problem}"
        finally:
            connection.close()
