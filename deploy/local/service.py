"""One of Stafett's own services as a process of the local run, in the same shape as the servers."""

import http
import http.client
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from typing_extensions import override

from deploy.local.server import ServerConfig
from deploy.local.settings import ROOT
from deploy.local.web import WebServer


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


class ServiceProcess(WebServer[ServiceConfig]):
    """`python -m services.<name>`; ready when GET /readyz answers 200."""

    name: ClassVar[str] = "service"

    @property
    @override
    def mark(self) -> str:
        return self.config.module

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
        try:
            status, said = self.get("/readyz")
        except (OSError, http.client.HTTPException) as problem:
            return False, f"no answer: {problem}"
        return status == http.HTTPStatus.OK, said
