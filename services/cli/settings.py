"""The only reader of the environment. `make up` leaves its addresses in `.run/env/cli.env`."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """`STAFETT_*`, from the environment first, else from `.run/env/cli.env`."""

    model_config = SettingsConfigDict(
        env_prefix="STAFETT_", env_file=".run/env/cli.env", extra="ignore", frozen=True, populate_by_name=True
    )

    ingestion_url: str = "http://127.0.0.1:8001"
    status_url: str = "http://127.0.0.1:8003"
    accounts_url: str = "http://127.0.0.1:8002"
    token: SecretStr | None = None
    token_file: Path | None = None
    lang: str = Field(default="", validation_alias="LANG")
