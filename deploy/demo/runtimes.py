"""What the demo plays on: processes of this machine, or containers (`RUNTIME=docker`)."""

from pathlib import Path

from deploy.containers.__main__ import Containers
from deploy.containers.composed import Composed
from deploy.local.__main__ import Processes
from deploy.local.installation import Installation
from deploy.local.ports import ports_for
from deploy.local.runtime import Runtime
from deploy.local.settings import LocalSettings


def runtime(settings: LocalSettings, folder: Path | None) -> Runtime:
    """Choose by the settings; the installation lives in `folder`, by default where that runtime has its own."""
    here = folder or settings.folder
    ports = ports_for(here, settings.port_base)
    if settings.runtime == "docker":
        return Containers(Composed(here, ports, active_directory=settings.active_directory is not False))
    windows = settings.has_active_directory
    return Processes(Installation(here, ports, portal=True, active_directory=windows, graph=True))
