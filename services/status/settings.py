"""The only reader of the environment."""

from services.kernel.settings import ServiceSettings


class Settings(ServiceSettings):
    """Status needs nothing beyond what every service has."""
