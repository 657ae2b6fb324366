"""What the demo plays on: processes of this machine, or containers (`RUNTIME=docker`)."""

from pathlib import Path
from typing import Protocol

from deploy.containers.__main__ import up as containers_up
from deploy.containers.compose import Compose
from deploy.containers.composed import Composed
from deploy.local.__main__ import up as processes_up
from deploy.local.installation import Installation
from deploy.local.ports import ports_for
from deploy.local.settings import LocalSettings
from deploy.local.supervision import Supervision


class Runtime(Protocol):
    """An installation, and how it is brought up and taken down."""

    @property
    def installation(self) -> Installation:
        """Addresses, passwords and the token issuer."""

    def up(self) -> bool:
        """Start what does not run yet, wait until it is ready, and tell whether it is."""

    def shut_down(self) -> None:
        """Stop everything."""


class Processes:
    """Private servers and services under supervisor."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self._supervision = Supervision(installation)

    def up(self) -> bool:
        """Start them."""
        return processes_up(self.installation, self._supervision) == 0

    def shut_down(self) -> None:
        """Stop them."""
        self._supervision.shut_down()


class Containers:
    """What docker-compose.yml says."""

    def __init__(self, installation: Composed) -> None:
        self.installation = installation
        self._compose = Compose(installation)

    def up(self) -> bool:
        """Start them."""
        return containers_up(self._compose) == 0

    def shut_down(self) -> None:
        """Stop them."""
        self._compose.shut_down()


def runtime(settings: LocalSettings, folder: Path | None) -> Runtime:
    """Choose by the settings; the installation lives in `folder`, by default where that runtime has its own."""
    here = folder or settings.folder
    ports = ports_for(here, settings.port_base)
    if settings.runtime == "docker":
        return Containers(Composed(here, ports))
    return Processes(Installation(here, ports, portal=True))
