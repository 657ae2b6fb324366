"""The service's settings: the common ones are all it needs."""

from services.kernel.settings import ServiceSettings


class Settings(ServiceSettings):
    """Read from `STAFETT_*`; `generation` is raised after a backup was restored."""

    http_port: int = 8001
