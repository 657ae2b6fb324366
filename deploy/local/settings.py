"""The only reader of the environment in the local run."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parents[2]


class LocalSettings(BaseSettings):
    """What a person may change about `make up` and `make clean`.

    Attributes:
        port_base: All ports lie at fixed distances above it.
        force: Do not ask before deleting.
    """

    model_config = SettingsConfigDict(env_prefix="STAFETT_")

    port_base: int = Field(default=18000, ge=1024, le=60000)
    force: bool = Field(default=False, validation_alias="FORCE")
