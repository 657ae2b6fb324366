"""The only reader of the environment in the local run."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_BASE = 18000
_FIRST_BASE, _LAST_BASE = 1024, 60000


class WrongSettingError(ValueError):
    """A variable of the environment has a value that cannot be; the message says which."""


class LocalSettings(BaseSettings):
    """What a person may change about `make up` and `make clean`.

    Attributes:
        port_base: All ports lie at fixed distances above it; None: as last time.
        force: Do not ask before deleting.
        observed: Run a Prometheus beside the services.
        active_directory: Run a Samba domain controller beside the servers; None: where it can run, which takes root.
        runtime: Private servers and processes on this machine, or containers (`RUNTIME=docker`).
    """

    model_config = SettingsConfigDict(env_prefix="STAFETT_", env_ignore_empty=True)

    port_base: int | None = Field(default=None, ge=_FIRST_BASE, le=_LAST_BASE)
    force: bool = Field(default=False, validation_alias="FORCE")
    observed: bool = Field(default=False, validation_alias="OBS")
    active_directory: bool | None = Field(default=None, validation_alias="STAFETT_AD")
    runtime: Literal["local", "docker"] = Field(default="local", validation_alias="RUNTIME")

    @property
    def has_active_directory(self) -> bool:
        """Whether the local run has an Active Directory."""
        return os.geteuid() == 0 if self.active_directory is None else self.active_directory

    @property
    def folder(self) -> Path:
        """Where the installation of this runtime keeps its things."""
        return ROOT / (".run-docker" if self.runtime == "docker" else ".run")


def local_settings() -> LocalSettings:
    """Read the environment.

    Raises:
        WrongSettingError: It says something that cannot be.
    """
    try:
        return LocalSettings()
    except ValidationError as error:
        wrong = error.errors()[0]
        if wrong["loc"] == ("port_base",):
            message = f"STAFETT_PORT_BASE must be a number from {_FIRST_BASE} to {_LAST_BASE}, not {wrong['input']!r}."
        else:
            allowed = "docker or local" if wrong["loc"] == ("RUNTIME",) else "0 or 1"
            message = f"{wrong['loc'][0]}={wrong['input']}: must be {allowed}."
        raise WrongSettingError(message) from None
