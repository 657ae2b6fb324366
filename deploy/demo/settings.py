"""The only reader of the environment in the demo."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class DemoSettings(BaseSettings):
    """What a person may change about `make demo`.

    Attributes:
        leave: Take the system down at the end (`EXIT=1`); otherwise it stays up.
        folder: Where the installation lives; None: where `make up` has it.
    """

    model_config = SettingsConfigDict(env_prefix="STAFETT_DEMO_")

    leave: bool = Field(default=False, validation_alias="EXIT")
    folder: Path | None = None
