"""The only reader of the environment."""

from services.kernel.settings import ServiceSettings


class Settings(ServiceSettings):
    """What every service has."""
